from decimal import Decimal

from odoo import api, models
from odoo.exceptions import AccessError, UserError

from .. import rating


class ResellerClient(models.Model):
    _inherit = "reseller.client"

    def authorize(self, feature, quantity="1"):
        """Say whether this client may use a quantity of a feature now (rating 13).

        Refused is what goes beyond the maximum of today's price, where that blocks. Nothing is
        reserved: use is a fact once it is ingested.

        :param str feature: the feature's code
        :param quantity: a number or decimal text, not negative; where the feature is billed by its
            highest or last value, the new value
        :return: ``allowed``, ``reason`` (text, False where allowed) and ``remaining`` (units up to
            the maximum as exact decimal text, False where there is no maximum)
        :raise UserError: for an unknown feature or a quantity that is no number
        """
        self.ensure_one()
        if not self.env["reseller.usage.line"].has_access("create"):
            self.check_access("read")
        # Metering systems may not read accounts; they get this answer alone, of their companies.
        client = self.sudo()
        if client.company_id not in self.env.companies:
            raise AccessError(self.env._("This client is another company's."))
        record = client._find_feature(feature)
        asked = client._parse_quantity(quantity)
        today = client._today()
        if client.state != "active" or not client._membership_on(today):
            return {
                "allowed": False,
                "reason": self.env._("The client is not served today."),
                "remaining": False,
            }
        states = self.env["reseller.rating"].sudo()._load_states(client, record)
        _cycle, use, rule = states.get((client.id, record.id), (None, None, None))
        if not rule or not rule.maximum:
            return {"allowed": True, "reason": False, "remaining": False}
        with rating.exact():
            remaining = rule.maximum - use.used
        gauge = record.aggregation in ("max", "last")
        fits = asked <= rule.maximum if gauge else asked <= remaining
        allowed = fits or not rule.blocks
        return {
            "allowed": allowed,
            "reason": not allowed
            and self.env._(
                "The maximum of %(maximum)s units per cycle leaves %(remaining)s.",
                maximum=rating.text(rule.maximum),
                remaining=rating.text(max(remaining, Decimal(0))),
            ),
            "remaining": rating.text(max(remaining, Decimal(0))),
        }

    @api.model
    def _find_for_metering(self, ref):
        """Return the account of the current company with a reference, for who may send usage."""
        if not self.env["reseller.usage.line"].has_access("create"):
            self.check_access("read")
        # See authorize: what is found is used for its answer alone.
        client = self.sudo().search(
            [("company_id", "=", self.env.company.id), ("ref", "=", str(ref or ""))], limit=1
        )
        if not client:
            raise UserError(self.env._("There is no client with reference %s.", ref))
        return client.sudo(False)

    def _find_feature(self, code):
        features = self.env["reseller.feature"].search(
            [("code", "=", str(code or "")), ("company_id", "in", [False, self.company_id.id])],
            order="company_id",
        )
        if not features:
            raise UserError(self.env._("There is no feature with code %s.", code))
        # A company's own feature goes before a common one with the same code.
        return features.filtered("company_id")[:1] or features[:1]

    def _parse_quantity(self, quantity):
        try:
            asked = self.env["reseller.usage.line"]._parse_quantity(quantity)
        except ValueError as error:
            raise UserError(str(error)) from error
        if asked < 0:
            raise UserError(self.env._("Ask for a quantity of zero or more."))
        return asked
