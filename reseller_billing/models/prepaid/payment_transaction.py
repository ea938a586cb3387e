from odoo import fields, models

# How long somebody may sit before an open payment page until the saved method is charged after all.
ON_PAGE = {"minutes": 30}
# And before a page of the provider's own.
AT_PROVIDER = {"days": 1}


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    def _is_in_flight(self):
        """Whether this may still pay its invoices, or has paid them without their knowing yet."""
        self.ensure_one()
        if not self.reseller_client_id and self.provider_code in ("none", "custom"):
            return False  # a promise to transfer money, which may never come
        if self.state == "draft":
            patience = AT_PROVIDER if self.operation == "online_redirect" else ON_PAGE
            since = fields.Datetime.subtract(fields.Datetime.now(), **patience)
            return bool(self.reseller_client_id) or self.create_date > since
        if self.state == "done":
            return not self.is_post_processed and self.operation != "refund"
        return self.state in ("pending", "authorized")
