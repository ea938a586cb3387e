import contextlib
import hashlib
import secrets
from collections import namedtuple
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import SQL

# Tells keys of this kind from Odoo's own; what follows is random.
PREFIX = "rbk_"
SHOWN = len(PREFIX) + 4
# The context's name of the id of the key by which a request came in.
CONTEXT_KEY = "reseller_usage_key"
# So much of what came in is shown to who connects a system.
NEWS = 5
# A key stays bound to what is archived: else it would be bound to nothing.
BOUND = {"active_test": False}
# What a request may send: frozensets of sources, or None for any; whether it may correct.
Permit = namedtuple("Permit", "sources may_correct")
ANYTHING = Permit(None, True)


class ResellerUsageKey(models.Model):
    """A key by which a metering system sends usage, and reaches nothing else.

    The key is shown once and kept as a digest. Requests that bear it work as the technical user
    *Usage Meters*, in the key's company.
    """

    _name = "reseller.usage.key"
    _description = "Key of a Metering System"
    _order = "name, id"

    name = fields.Char(
        required=True, help="What sends with it, such as the gateway and its data centre."
    )
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    active = fields.Boolean(default=True, help="A key that is revoked opens nothing any more.")
    sources = fields.Char(
        help="The sources that events of this key may have, separated by commas. Another meter's "
        "events stay its own so. Empty: any."
    )
    reseller_ids = fields.Many2many(
        "reseller.reseller",
        string="Resellers",
        check_company=True,
        context=BOUND,
        ondelete="restrict",
        help="Use of their clients. Without resellers and clients: of all.",
    )
    client_ids = fields.Many2many(
        "reseller.client",
        string="Clients",
        check_company=True,
        context=BOUND,
        ondelete="restrict",
    )
    feature_ids = fields.Many2many(
        "reseller.feature",
        string="Features",
        check_company=True,
        context=BOUND,
        ondelete="restrict",
        help="Empty: all.",
    )
    may_correct = fields.Boolean(
        string="Corrects", help="May send negative use, and events that correct others."
    )
    date_until = fields.Date(string="Until", help="The last day that it works. Empty: for good.")
    requests_per_minute = fields.Integer(
        string="Requests per Minute", help="0: as the settings have it."
    )
    rejections_per_minute = fields.Integer(
        string="Rejected Events per Minute", help="0: as the settings have it."
    )
    digest = fields.Char(readonly=True, copy=False, groups="base.group_system")
    shown = fields.Char(
        string="Key", readonly=True, copy=False, help="How the key begins; it was shown once."
    )
    last_used_at = fields.Datetime(string="Last Used", readonly=True, copy=False)

    _digest_uniq = models.UniqueIndex("(digest) WHERE digest IS NOT NULL")
    _limits_positive = models.Constraint(
        "CHECK (requests_per_minute >= 0 AND rejections_per_minute >= 0)",
        "Limits must not be negative.",
    )

    def action_make_key(self):
        """Make the key, or another one instead of it, and show it this once."""
        self.ensure_one()
        self.check_access("write")
        if not self.active:
            raise UserError(self.env._("This key is revoked: make another one."))
        key = PREFIX + secrets.token_urlsafe(32)
        self_sudo = self.sudo()  # the digest is nobody's to see
        self_sudo.write({"digest": get_digest(key), "shown": f"{key[:SHOWN]}…"})
        # The technical user works in the companies that have keys.
        user_sudo = self.env.ref("reseller_billing.user_usage_meters").sudo()  # of no group's
        user_sudo.company_ids |= self.company_id
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("The Key"),
            "res_model": "reseller.usage.key.show",
            "views": [(False, "form")],
            "target": "new",
            "context": {
                "default_key": key,
                "active_id": self.id,
                "dialog_size": "large",
                "news_since": self.get_news(self.id)["since"],
            },
        }

    @api.model
    def get_news(self, key_id: int, since: dict | None = None) -> dict:
        """Return what has come in for a key's company: whoever connects a system looks at it.

        :param key_id: the key's
        :param since: as an answer before had it; None for now, of which only ``since`` is of use
        :return: ``since``: the ids of the last event and rejection; ``events``: texts of the first events
            after those of `since`, ``rejected``: why events were rejected
        """
        key = self.browse(key_id)
        key.check_access("write")
        texts, last = {}, {}
        for name, model in (
            ("events", self.env["reseller.usage.line"]),
            ("rejected", self.env["reseller.usage.rejection"]),
        ):
            # Of any company: found without looking for this one's.
            [(newest,)] = self.env.execute_query(
                SQL("SELECT COALESCE(max(id), 0) FROM %s", SQL.identifier(model._table))
            )
            last[name], texts[name] = newest, []
            if since and newest > since[name]:
                domain = [("company_id", "=", key.company_id.id), ("id", ">", since[name])]
                sources = key._get_permit().sources
                if sources and name == "events":
                    domain.append(("source", "in", list(sources)))  # other meters may be at work
                found = model.search(domain, order="id", limit=NEWS)
                texts[name] = [record._describe_news() for record in found]
        return {"since": last, **texts}

    def action_open_docs(self):
        """Open what the addresses take and answer, as a page."""
        return {"type": "ir.actions.act_url", "url": "/reseller_billing/v1/docs", "target": "new"}

    def action_revoke(self):
        """Have a key open nothing any more, at once."""
        self.check_access("write")
        self.sudo().write({"digest": False, "active": False})  # the digest is nobody's to see

    # Requests

    @api.model
    def _find(self, key):
        """Return the record of a key that works today; empty for none."""
        found = self.search([("digest", "=", get_digest(key))], limit=1)
        if found.date_until and found.date_until < fields.Date.today():
            return self.browse()
        return found

    @api.model
    def _get_current(self):
        """Return the key by which this request came in, as the system; empty for other ways."""
        keys_sudo = self.sudo()  # who sends reads no keys
        return keys_sudo.browse(self.env.context.get(CONTEXT_KEY))

    def _get_permit(self):
        """Return what this key may send; without one, anything."""
        if not self:
            return ANYTHING
        sources = {source.strip() for source in (self.sources or "").split(",")} - {""}
        return Permit(frozenset(sources) or None, self.may_correct)

    def _clients_sql(self):
        """Return the condition of the clients, of alias ``client``, that this key may name."""
        if not (self.reseller_ids or self.client_ids):
            return SQL("TRUE")
        return SQL(
            "(client.reseller_id = ANY(%s) OR client.id = ANY(%s))",
            self.reseller_ids.ids,
            self.client_ids.ids,
        )

    def _allows_feature(self, feature_id):
        return not self.feature_ids or feature_id in self.feature_ids.ids

    def _get_limits(self, company):
        """Return (requests, rejected events) that are taken a minute; 0 for without limit."""
        return (
            self.requests_per_minute or company.reseller_key_requests,
            self.rejections_per_minute or company.reseller_key_rejections,
        )

    def _note_use(self):
        """Note when a key was used, once a minute at most.

        In a transaction of its own: requests with the same key do not wait for each other.
        """
        now = fields.Datetime.now()
        if not self or (self.last_used_at and now - self.last_used_at < timedelta(minutes=1)):
            return
        with (
            contextlib.suppress(*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY),
            self.env.registry.cursor() as cr,
        ):
            cr.execute(
                SQL(
                    "UPDATE reseller_usage_key SET last_used_at = %s WHERE id IN ("
                    "SELECT id FROM reseller_usage_key WHERE id = %s FOR UPDATE SKIP LOCKED)",
                    now,
                    self.id,
                ),
                log_exceptions=False,
            )


def get_digest(key):
    """Return what is kept of a key: it is random, so that no slow hash is needed."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()
