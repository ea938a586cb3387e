from odoo import api, fields, models
from odoo.exceptions import ValidationError


class ResellerClientGroup(models.Model):
    _name = "reseller.client.group"
    _description = "Client Group"
    _order = "reseller_id, name, id"
    _check_company_auto = True
    _billing_user_writes = frozenset(("active", "name", "membership_ids"))
    _billing_user_gives = frozenset(("reseller_id",))

    active = fields.Boolean(default=True)
    name = fields.Char(required=True, translate=True)
    reseller_id = fields.Many2one(
        "reseller.reseller", required=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one(related="reseller_id.company_id", store=True, index=True)
    membership_ids = fields.One2many("reseller.client.membership", "group_id")

    @api.constrains("reseller_id")
    def _check_reseller(self):
        for group in self:
            if group.membership_ids.filtered(
                lambda row, group=group: row.reseller_id != group.reseller_id
            ):
                raise ValidationError(
                    self.env._(
                        "%s has clients of its reseller: make a group for the other one instead.",
                        group.name,
                    )
                )

    def _get_pricing(self, day):
        """Return the rules that hold for this group's clients without prices of their own."""
        self.ensure_one()
        return self.reseller_id._get_pricing(day, self)

    def _get_priced_clients(self):
        """Return the clients that a price of this group reaches, or may: now, before or later."""
        return self.membership_ids.client_id

    def _find_price(self, feature, day):
        """Return the price of a feature that holds on a day for clients without one of their own."""
        self.ensure_one()
        [row] = self.reseller_id._get_pricing(day, self, features=feature)
        return row["winner"]
