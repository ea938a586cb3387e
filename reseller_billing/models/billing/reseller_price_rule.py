from contextlib import contextmanager

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..pricing.reseller_price_rule import PAST_FEES


class ResellerPriceRule(models.Model):
    """Prices of days that are billed stay as they are (rating 23)."""

    _inherit = "reseller.price.rule"

    @contextmanager
    def _guard_billed_days(self, features):
        """Refuse, at the end, what alters a billed day's price (rating 23).

        Days that nothing priced are free: clients that now have a price on such days are rated
        again from there on their next bill. Within another guard of the same features nothing is
        compared: a price is made or changed part by part.
        """
        guarded = self.env.cr.precommit.data.setdefault("reseller_billing.guarded", set())
        features = features.filtered(lambda feature: feature.id not in guarded)
        if not features:
            yield
            return
        rates = self.env["reseller.rating"]
        self.env.companies._conflict_with_prices()
        before = rates._billed_prices(features)
        rules_sudo = self.sudo()  # prices of every company bind, seen or not
        rules_sudo = rules_sudo.with_context(active_test=False)
        made = {
            rule.id: rule.made_after_id
            for rule in rules_sudo.search([("feature_id", "in", features.ids)])
        }
        guarded |= set(features.ids)
        try:
            yield
        finally:
            guarded -= set(features.ids)
        self.env.flush_all()
        at_work = rates._get_working_dates()
        found = rates._compare_billed_prices(before, features, made)
        for client, (changed, _priced, _rules) in found.items():
            if changed and client.company_id in at_work:
                raise UserError(
                    self.env._(
                        "A billing run is at work with these prices: wait until it is done, "
                        "or stop it."
                    )
                )
            if changed:
                client._raise_billed(self.env._("this price"))
        reaching = rules_sudo.browse(set().union(*(rules for _c, _p, rules in found.values())))
        if not reaching:
            return
        used = self._find_with_use(found, features)
        reaching._check_past_fees(found, used)
        reaching._rate_again(found, used)
        # One that no bill could have used until now is as new as one that is made now.
        known = {terms[0] for runs, _once in before.values() for _f, _l, terms in runs if terms}
        fresh = reaching.filtered(lambda rule: rule.id not in known)
        if fresh:
            fresh.made_after_id = self._get_last_statement_id()

    def _get_last_statement_id(self):
        statements_sudo = self.env["reseller.statement"].sudo()  # whoever sets prices may see none
        return statements_sudo.search([], order="id desc", limit=1).id or 0

    def _find_with_use(self, found, features):
        """Return the ids of clients with use of features that no bill has covered.

        :param found: see reseller.rating._compare_billed_prices
        """
        buckets_sudo = self.env["reseller.usage.daily"].sudo()  # as in _guard_billed_days
        domain = [
            ("client_id", "in", [client.id for client in found]),
            ("feature_id", "in", features.ids),
            ("statement_id", "=", False),
        ]
        return {client.id for (client,) in buckets_sudo._read_group(domain, ["client_id"])}

    def _rate_again(self, found, used):
        """Have the next bills rate days again that have one of these prices only now.

        A closed account without use of them, or fees that are asked for, gets no bill.

        :param found: see reseller.rating._compare_billed_prices
        :param used: see _find_with_use
        """
        asked = set(self.filtered("bills_past_fees").ids)
        for client, (_changed, priced, rules) in found.items():
            if client.state != "closed" or client.id in used or rules & asked:
                client._rate_again_from(priced)

    def _check_past_fees(self, found, used):
        """Refuse what these prices make due without use on billed days, unless they say so.

        :param found: see reseller.rating._compare_billed_prices
        :param used: see _find_with_use
        :raise ValidationError: with the accounts and what they would pay (rating 23)
        """
        charging = self.filtered(
            lambda rule: (
                not rule.bills_past_fees
                and (
                    rule.recurring_fee
                    or rule.setup_fee
                    or rule.minimum_amount
                    or rule.minimum_quantity
                    or any(rule.tier_ids.mapped("flat_fee"))
                )
            )
        )
        reached = {
            client: priced
            for client, (_changed, priced, rules) in found.items()
            if rules & set(charging.ids)
        }
        rates = self.env["reseller.rating"]
        amounts = reached and rates._load_past_fees(reached, charging.ids, used)
        if not amounts:
            return
        shown = [
            f"{client.ref} {client.currency_id.format(float(amount))}"
            for client, amount in sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0].ref))
        ]
        more = len(shown) - PAST_FEES
        free = max(fields.Date.add(client.billed_until, days=1) for client in amounts)
        raise ValidationError(
            self.env._(
                "%(price)s would bill fees or minimums of days that were billed when there was no price, "
                "to %(count)s accounts: %(accounts)s. Choose %(free)s or a later day under From, or "
                "tick Bill Past Fees. Use of such days can have a price without them.",
                price=charging[0].name,
                count=len(shown),
                accounts=", ".join(shown[:PAST_FEES]) + (f" … (+{more})" if more > 0 else ""),
                free=free,
            )
        )

    @api.model_create_multi
    def create(self, vals_list):
        default = self.default_get(["feature_id"]).get("feature_id")
        features = self.env["reseller.feature"].browse(
            {number for vals in vals_list if (number := vals.get("feature_id", default))}
        )
        with self._guard_billed_days(features):
            made = {"made_after_id": self._get_last_statement_id()}
            return super().create([{**vals, **made} for vals in vals_list])

    def write(self, vals):
        if "made_after_id" in vals and not self.env.su:
            raise UserError(self.env._("Billing itself says which bills have used a price."))
        if vals.keys() == {"made_after_id"}:
            return super().write(vals)
        features = self.feature_id | self.feature_id.browse(vals.get("feature_id") or [])
        with self._guard_billed_days(features):
            return super().write(vals)

    def action_simulate(self):
        """Open the simulation with the drafts among these prices, and those of the others.

        One price in force without any gets a draft first, to be changed.
        """
        drafts = self._get_drafts()
        if not drafts and len(self) == 1:
            return self.action_try_change()
        if not drafts:
            raise UserError(
                self.env._("None of these prices has a draft: open one, and press Try a Change.")
            )
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "reseller_billing.reseller_price_simulation_action"
        )
        return {
            **action,
            "context": {"default_draft_ids": drafts.ids},
        }

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billed(self):
        charges_sudo = self.env[
            "reseller.charge"
        ].sudo()  # of every company's accounts, seen or not
        charges = charges_sudo.search([("price_rule_id", "in", self.ids)])
        # Previews that name it are made anew.
        previews = charges.statement_id.filtered(
            lambda statement: statement.state == "preview" and not statement.run_id
        )
        charges -= previews.charge_ids
        previews.unlink()
        billed = charges.client_id.filtered("billed_until")
        if billed:
            billed._raise_billed(self.env._("this price"))
        if charges:
            raise ValidationError(
                self.env._("Bills name this price: end it or archive it instead of deleting it.")
            )
