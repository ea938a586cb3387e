from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError


class ResellerWalletRequest(models.Model):
    """A credit or debit by hand: with a reason, and above a limit with a second person's approval."""

    _name = "reseller.wallet.request"
    _description = "Credit or Debit of a Wallet"
    _inherit = ["mail.thread"]
    _order = "id desc"
    _check_company_auto = True

    client_id = fields.Many2one("reseller.client", required=True, index=True, ondelete="restrict")
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="client_id.currency_id")
    payer_id = fields.Many2one(related="client_id.payer_id")
    kind = fields.Selection(
        [
            ("payment", "Put an open payment in"),
            ("gift", "Give credit"),
            ("debit", "Take out"),
            ("refund", "Refund what was paid in"),
        ],
        required=True,
        default="payment",
    )
    payment_line_id = fields.Many2one(
        "account.move.line",
        string="Open Payment",
        check_company=True,
        help="A payment of the payer that no invoice is reconciled with.",
    )
    amount = fields.Monetary(help="Of a payment: what is given on top of it.")
    date_until = fields.Date(string="Valid Until", help="The last day; empty: it does not expire.")
    reason = fields.Char(required=True)
    state = fields.Selection(
        [("draft", "New"), ("waiting", "Waits for approval"), ("done", "Done"), ("no", "Refused")],
        required=True,
        readonly=True,
        default="draft",
        copy=False,
        tracking=True,
    )
    asked_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    approved_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    done_at = fields.Datetime(string="Done On", readonly=True, copy=False)
    done_amount = fields.Monetary(string="Amount Done", readonly=True, copy=False)

    _amount_positive = models.Constraint(
        "CHECK (COALESCE(amount, 0) >= 0)", "Amounts are above zero."
    )

    @api.depends("client_id", "reason")
    def _compute_display_name(self):
        for request in self:
            request.display_name = f"{request.client_id.display_name}: {request.reason}"

    @api.constrains("kind", "amount", "payment_line_id")
    def _check_amount(self):
        for request in self:
            if request.kind in ("gift", "debit") and not request.amount:
                raise ValidationError(self.env._("Say how much is given or taken."))
            if request.kind == "payment" and not request.payment_line_id:
                raise ValidationError(self.env._("Choose the payment to put in."))

    def write(self, vals):
        """Override of `base`: what was asked for stays as it was asked for."""
        if not self.env.su and (
            {"state", "asked_by_id", "approved_by_id", "done_at", "done_amount"} & vals.keys()
            or any(request.state != "draft" for request in self)
        ):
            raise UserError(self.env._("This was asked for as it is: make a new one."))
        return super().write(vals)

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            if not self.env.su:
                # Neither by values nor by defaults of a context: the buttons alone do it.
                vals.update(
                    state="draft",
                    asked_by_id=False,
                    approved_by_id=False,
                    done_at=False,
                    done_amount=0,
                )
        return super().create(vals_list)

    def action_do(self):
        """Do what is asked for; above the company's limit it waits for another person.

        :raise AccessError: without the group Billing Manager
        """
        self.env["res.users"]._check_billing_manager()
        for request in self.filtered(lambda request: request.state == "draft"):
            request_sudo = request.sudo()  # only these buttons write the state
            request_sudo.asked_by_id = self.env.user
            limit = request.company_id.reseller_wallet_limit
            if limit and request._get_amount() + request._get_amount_of_today() > limit:
                request_sudo.state = "waiting"
            else:
                request._do()

    @api.constrains("client_id", "kind")
    def _check_holds_money(self):
        """Nothing is paid in for, or given to, who is billed on papers, which no wallet pays."""
        for request in self.filtered(lambda request: request.kind in ("payment", "gift")):
            request.client_id._check_holds_money(request.reason or request.display_name)

    def _get_amount(self):
        """Return what this gives, takes out or refunds."""
        self.ensure_one()
        refunded = self.kind == "refund" and self.client_id.wallet_balance
        return max(self.amount, refunded)

    def _get_amount_of_today(self):
        """Return what was given to and taken from this account today without approval: many small
        requests are one large one.
        """
        self.ensure_one()
        self.client_id._conflict_with_others()
        done_sudo = self.sudo().search(  # those of users of other companies as well
            [
                ("client_id", "=", self.client_id.id),
                ("state", "=", "done"),
                ("approved_by_id", "=", False),
                ("done_at", ">=", fields.Datetime.subtract(fields.Datetime.now(), days=1)),
            ]
        )
        return sum(done_sudo.mapped("done_amount"))

    def action_approve(self):
        """Approve what waits, as another person than the one who asked.

        :raise AccessError: without the group Billing Manager, or for one's own request
        """
        self.env["res.users"]._check_billing_manager()
        for request in self.filtered(lambda request: request.state == "waiting"):
            if request.asked_by_id == self.env.user:
                raise AccessError(self.env._("Another person has to approve this."))
            request.sudo().approved_by_id = self.env.user  # as above
            request._do()

    def action_refuse(self):
        """Refuse what waits.

        :raise AccessError: without the group Billing Manager
        """
        self.env["res.users"]._check_billing_manager()
        waiting = self.filtered(lambda request: request.state in ("draft", "waiting"))
        waiting.sudo().state = "no"  # as above

    def _do(self):
        self.ensure_one()
        self._check_holds_money()  # it may have waited
        client = self.client_id
        self.sudo().write(  # only the buttons write these
            {"done_amount": self._get_amount(), "done_at": fields.Datetime.now()}
        )
        if self.kind == "payment":
            client._fund_wallet(self.payment_line_id, self.reason, self.amount, self.date_until)
        elif self.kind == "gift":
            client._give_to_wallet(
                self.amount, self.reason, f"{self._name},{self.id}", self.date_until
            )
        elif self.kind == "debit":
            client._debit_wallet(self.amount, self.reason)
        else:
            client._refund_wallet(self.reason)
        self.sudo().state = "done"  # only the buttons write it
