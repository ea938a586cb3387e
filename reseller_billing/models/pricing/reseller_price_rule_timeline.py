from datetime import date

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import date_utils
from odoo.tools.misc import format_date

from .scopes import RANKS, scope_of

# What a timeline shows beside the days that its prices begin and end on.
MONTHS_AROUND = 3


class ResellerPriceRule(models.Model):
    """The prices of a feature in time, a lane for each level (rating 1)."""

    _inherit = "reseller.price.rule"

    timeline_html = fields.Html(string="Timeline", compute="_compute_timeline_html", sanitize=False)

    @api.depends(
        *("feature_id", "company_id", "currency_id", "reseller_id", "group_id", "client_id"),
        *("book", "date_from", "date_to", "active"),
    )
    def _compute_timeline_html(self):
        for rule in self:
            rule.timeline_html = (
                self.env["ir.qweb"]._render("reseller_billing.price_timeline", rule._get_timeline())
                if rule.feature_id and rule.currency_id
                else False
            )

    def _get_timeline(self):
        """Return this price among those that it overrides, or that override it for the same clients.

        :return: ``lanes``, the nearest to the client first, each with ``name`` and ``bars`` (``rule``,
            ``words``, ``left`` and ``width`` in per cent of the window, ``is_this``, ``days`` in words);
            ``today`` (per cent), ``first`` and ``last`` (dates of the window)
        """
        self.ensure_one()
        today = fields.Date.context_today(self)
        rules = self._find_levels()
        days = [day for rule in rules for day in (rule.date_from, rule.date_to) if day]
        first = date_utils.subtract(min([today, *days]), months=MONTHS_AROUND)
        last = date_utils.add(max([today, *days]), months=MONTHS_AROUND)
        lanes = {}
        for rule in rules.sorted(lambda rule: (rule.date_from or date.min, rule.id)):
            scope, record = scope_of(rule)
            # A draft holds on no day: it stands above, for itself.
            in_force = rule != self or rule.active
            key = (in_force, -RANKS[scope], (record and record._origin.id) or 0)
            lanes.setdefault(key, []).append(rule)
        return {
            "lanes": [
                {
                    "name": self._describe_scope(*scope_of(found[0]))
                    if in_force
                    else self.env._("Draft"),
                    "bars": [rule._get_bar(first, last, self) for rule in found],
                }
                for (in_force, *_key), found in sorted(lanes.items())
            ],
            "today": self._place(today, first, last),
            "first": format_date(self.env, first),
            "last": format_date(self.env, last),
        }

    def _find_levels(self):
        """Return the prices in force of this one's feature at its level and those above it, with itself."""
        _scope, record = scope_of(self)
        mine = Domain("id", "=", False)
        if self.client_id:
            mine = Domain("client_id", "=", record._origin.id)
            mine |= Domain("group_id", "in", record.membership_ids.group_id.ids)
        elif self.group_id:
            mine = Domain("group_id", "=", record._origin.id)
        reseller = self.reseller_id or self.group_id.reseller_id or self.client_id.reseller_id
        if reseller:
            mine |= Domain("reseller_id", "=", reseller._origin.id)
        domain = Domain(
            [
                ("feature_id", "=", self.feature_id._origin.id),
                ("company_id", "=", self.company_id._origin.id),
                ("currency_id", "=", self.currency_id._origin.id),
                ("book", "=", self.book),
                ("active", "=", True),
                ("id", "!=", self._origin.id),
            ]
        )
        return self | self.search(domain & (mine | Domain("scope", "=", "default")))

    def _describe_scope(self, scope, record):
        label = dict(self._fields["scope"]._description_selection(self.env))[scope]
        return f"{label}: {record.display_name}" if record else label

    def _get_bar(self, first, last, shown):
        """Return what a timeline draws of this price between two days."""
        left = self._place(max(self.date_from or first, first), first, last)
        # A price's last day is part of it.
        after = date_utils.add(self.date_to, days=1) if self.date_to else last
        return {
            "rule": self,
            "words": self._get_terms_in_words(),
            "left": left,
            "width": round(max(self._place(min(after, last), first, last) - left, 0.5), 2),
            "is_this": self == shown,
            "days": self._get_days_in_words(),
        }

    def _get_days_in_words(self):
        begins = self.date_from and format_date(self.env, self.date_from)
        ends = self.date_to and format_date(self.env, self.date_to)
        match bool(begins), bool(ends):
            case True, True:
                return self.env._("%(first)s to %(last)s", first=begins, last=ends)
            case True, False:
                return self.env._("from %s", begins)
            case False, True:
                return self.env._("until %s", ends)
        return self.env._("at all times")

    @api.model
    def _place(self, day, first, last):
        """Return where a day lies between two others, per cent."""
        return round(100.0 * (day - first).days / (last - first).days, 2)
