from odoo import api, fields, models

from ... import rating
from .product_template import make_grant


class ResellerRefill(models.Model):
    """One refill of a client's wallet, or of its packages of a feature: a sale that was made by itself.

    While it is open, no other is begun: a try that failed keeps its claim. It ends when what it
    sells is paid and released, or its invoice is cancelled.
    """

    _name = "reseller.refill"
    _description = "Refill"
    _order = "id desc"
    _check_company_auto = True

    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, index=True, ondelete="restrict"
    )
    reseller_id = fields.Many2one(related="client_id.reseller_id", store=True)
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="client_id.currency_id")
    feature_id = fields.Many2one(
        "reseller.feature", readonly=True, ondelete="restrict", help="Empty: the wallet."
    )
    trigger = fields.Selection(
        [("threshold", "Threshold"), ("day", "Day of the month"), ("hand", "By hand")],
        required=True,
        readonly=True,
    )
    state = fields.Selection(
        [("open", "Waits for payment"), ("paid", "Paid"), ("canceled", "Cancelled")],
        required=True,
        readonly=True,
        default="open",
    )
    date = fields.Date(required=True, readonly=True, help="The client's day.")
    canceled_on = fields.Date(readonly=True)
    units = fields.Float(
        readonly=True, min_display_digits=0, help="Of the feature, in each of them."
    )
    amount = fields.Monetary(readonly=True, help="To pay, taxes included.")
    charge_item_id = fields.Many2one(
        "reseller.manual.charge", string="Charge", readonly=True, ondelete="restrict"
    )
    invoice_id = fields.Many2one(related="charge_item_id.statement_id.invoice_id")

    _one_open = models.UniqueIndex(
        "(client_id, COALESCE(feature_id, 0)) WHERE state = 'open'",
        "A refill is under way already: wait until it is paid, or cancel its invoice.",
    )
    _of_item = models.Index("(charge_item_id)")

    @api.depends("feature_id.name", "date")
    def _compute_display_name(self):
        for refill in self:
            what = refill.feature_id.name or self.env._("Wallet")
            refill.display_name = self.env._("Refill %(what)s, %(day)s", what=what, day=refill.date)

    @api.model
    def _end_with(self, lots):
        """Have the refills end that have sold lots which are paid."""
        self._find_of(lots.charge_id).state = "paid"

    @api.model
    def _cancel(self, statements):
        """Cancel the refills of void bills; nothing is refilled again on the same day."""
        for refill in self._find_of(statements.charge_ids):
            refill.write({"state": "canceled", "canceled_on": refill.client_id._today()})

    @api.model
    def _find_of(self, charges):
        items = charges.manual_charge_id
        refills_sudo = self.sudo()  # whoever pays or cancels need not see refills
        return refills_sudo.search([("charge_item_id", "in", items.ids)]) if items else refills_sudo

    def _is_within_limits(self):
        """Whether the client's limits still let this refill be paid by itself."""
        self.ensure_one()
        room = self.client_id._get_refill_room(but=self)
        return room is None or rating.exact_of(self.amount) <= room

    def _follow_amount(self, amount):
        """Have this refill cost what its offer does by now, and tell who is responsible where that is
        above the client's limits: it is for a person then.
        """
        for refill in self:
            was_within = refill._is_within_limits()
            refill.amount = amount
            if was_within and not refill._is_within_limits():
                client = refill.client_id
                room = client._get_refill_room(but=refill)
                client.reseller_id._tell_responsible(
                    client,
                    self.env._("A refill is held back"),
                    client._describe_held(rating.exact_of(amount), room),
                )

    def _prepare_grant(self):
        """Return what one unit of a refill's charge gives, see _prepare_reseller_grant."""
        self.ensure_one()
        return make_grant(
            self.feature_id, self.units, self._get_vat_mode(self.company_id, self.feature_id)
        )

    @api.model
    def _get_vat_mode(self, company, feature):
        """Return when a refill is taxed: by the product that it is sold as.

        :param feature: of which units are bought; none: money
        """
        product = feature._get_product(company) if feature else company.reseller_usage_product_id
        return product.product_tmpl_id._get_vat_mode(company, "units" if feature else "money")

    @api.model
    def _trigger(self):
        cron_sudo = self.env.ref("reseller_billing.ir_cron_refill").sudo()  # anybody may wake it up
        cron_sudo._trigger()
