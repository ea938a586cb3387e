from odoo import api, models


class ResellerClientPartMixin(models.AbstractModel):
    """Rows of days that bills rest on, with `client_id`: they never alter a billed day."""

    _name = "reseller.client.part.mixin"
    _description = "Part of a Client's Service"

    def _guard(self, *client_ids):
        clients = self.client_id.browse({number for number in client_ids if number})
        return (self.client_id | clients)._guard_billed_days(self._describe_part())

    def _describe_part(self):
        """Return what a message calls such a row."""
        raise NotImplementedError

    @api.model_create_multi
    def create(self, vals_list):
        with self._guard(*(vals.get("client_id") for vals in vals_list)):
            return super().create(vals_list)

    def write(self, vals):
        with self._guard(vals.get("client_id")):
            return super().write(vals)

    def unlink(self):
        with self._guard():
            return super().unlink()
