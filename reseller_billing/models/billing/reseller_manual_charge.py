from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError

from ... import rating
from .account_move_line import BILLING


class ResellerManualCharge(models.Model):
    """A charge or credit by hand: billed at once, or with the client's next bill."""

    _name = "reseller.manual.charge"
    _description = "Charge or Credit by Hand"
    _inherit = ["mail.thread"]
    _order = "date desc, id desc"
    _check_company_auto = True

    client_id = fields.Many2one("reseller.client", required=True, index=True, ondelete="restrict")
    reseller_id = fields.Many2one(related="client_id.reseller_id", store=True)
    payment_token_id = fields.Many2one(related="client_id.payment_token_id")
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="client_id.currency_id")
    name = fields.Char(string="Description", required=True, tracking=True)
    kind = fields.Selection(
        [("manual", "Charge"), ("credit", "Credit")], required=True, default="manual", tracking=True
    )
    product_id = fields.Many2one(
        "product.product",
        check_company=True,
        ondelete="restrict",
        help="Gives taxes and income account. Empty: the company's generic usage product.",
    )
    date = fields.Date(
        required=True,
        default=fields.Date.context_today,
        tracking=True,
        help="The day of the service. It joins the first bill that is dated this day or later.",
    )
    quantity = fields.Float(required=True, default=1.0, min_display_digits=0, tracking=True)
    unit_price = fields.Float(
        required=True,
        min_display_digits="Product Price",
        tracking=True,
        help="Tax excluded or included, as the product's taxes say.",
    )
    amount = fields.Monetary(compute="_compute_amount", help="Below zero for a credit.")
    statement_id = fields.Many2one(
        "reseller.statement",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="The bill that it is on. Empty: it waits for the next one.",
    )
    is_withdrawn = fields.Boolean(readonly=True, copy=False)
    is_of_invoice = fields.Boolean(
        string="Line of the Invoice",
        readonly=True,
        copy=False,
        help="It was added to the bill's draft invoice, and changes or goes with that line.",
    )
    state = fields.Selection(
        [
            ("waiting", "Waits for the next bill"),
            ("billed", "Billed"),
            ("withdrawn", "Withdrawn"),
        ],
        compute="_compute_state",
        store=True,
    )

    _amounts_positive = models.Constraint(
        "CHECK (quantity > 0 AND unit_price >= 0)",
        "Quantity and price are above zero: choose Credit to give money back.",
    )

    @api.depends("statement_id", "is_withdrawn")
    def _compute_state(self):
        for item in self:
            waiting = "withdrawn" if item.is_withdrawn else "waiting"
            item.state = "billed" if item.statement_id else waiting

    @api.depends("kind", "quantity", "unit_price", "currency_id")
    def _compute_amount(self):
        for item in self:
            item.amount = float(item._get_exact()[2]) if item.currency_id else 0.0

    def _get_exact(self):
        """Return (quantity, unit price, amount) as Decimals; quantity and amount signed."""
        self.ensure_one()
        quantity, price = rating.exact_of(self.quantity), rating.exact_of(self.unit_price)
        if self.kind == "credit":
            quantity = -quantity
        with rating.exact():
            amount = rating.round_to(quantity * price, self.currency_id._get_exact_rounding())
        return quantity, price, amount

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_bill_owned(vals)
        items = super().create(vals_list)
        for item in items.filtered(lambda item: not item.statement_id):
            item.client_id._expect_bill(item.date)
        return items

    @api.model
    def _get_bill_owned(self):
        """Return the names of the fields that billing itself keeps."""
        return {"statement_id", "is_of_invoice"}

    def _check_bill_owned(self, vals):
        if self._get_bill_owned() & vals.keys() and not self.env.su:
            raise UserError(self.env._("Billing itself says on which bill a charge is."))

    def write(self, vals):
        self._check_bill_owned(vals)
        if not vals.keys() <= {
            "statement_id",
            "state",
            "is_withdrawn",
            "is_of_invoice",
            "message_main_attachment_id",
        }:
            self._check_waiting()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billed(self):
        self._check_waiting()
        # Previews that show it are made anew; statements are closed to all users.
        charges_sudo = self.env["reseller.charge"].sudo()
        charges_sudo = charges_sudo.search([("manual_charge_id", "in", self.ids)])
        if charges_sudo.statement_id.filtered(lambda statement: statement.state != "preview"):
            raise UserError(
                self.env._("%s is on a void bill, which stays: withdraw it instead.", self[0].name)
            )
        of_run = charges_sudo.statement_id.filtered("run_id")
        if of_run:
            raise UserError(
                self.env._(
                    "%(name)s is on what %(run)s has prepared: withdraw it instead.",
                    name=self[0].name,
                    run=of_run[0].run_id.name,
                )
            )
        charges_sudo.statement_id.unlink()

    def _check_waiting(self):
        billed = self.filtered("statement_id")
        if billed:
            raise UserError(
                self.env._(
                    "%(name)s is on the bill %(bill)s: void that, or enter the opposite.",
                    name=billed[0].name,
                    bill=billed[0].statement_id.name,
                )
            )

    def action_withdraw(self):
        """Take charges and credits back that no bill has: they are billed no more."""
        self._check_waiting()
        self.is_withdrawn = True

    def action_save(self):
        """Close the dialog: the item waits for the client's next bill."""
        return {"type": "ir.actions.act_window_close"}

    def action_bill_now(self):
        """Bill these items at once, one bill per client, and open the invoice of a single one.

        :raise AccessError: without the group Billing Manager
        """
        self.env["res.users"]._check_billing_manager()
        self._check_waiting()
        if any(item.is_withdrawn for item in self):
            raise UserError(self.env._("What is withdrawn is not billed: enter it anew."))
        for client in self.client_id:
            if client.state == "draft":
                raise UserError(
                    self.env._("%s is not active: activate it first.", client.display_name)
                )
        statements = self.env["reseller.statement"]._bill_by_hand(self)
        if len(statements) == 1 and statements.invoice_id:
            return statements.action_view_invoice()
        return {"type": "ir.actions.act_window_close"}

    # Lines that were added to invoices by hand

    @api.model
    def _follow_invoice(self, invoice):
        """Have a statement say what was added to its draft invoice by hand, changed there or removed.

        :param invoice: the account.move of a bill
        :raise UserError: when a line sells a package, which only its own dialog does
        """
        statement_sudo = invoice.reseller_statement_id.sudo()  # closed to all users
        items_sudo = self.sudo()  # who posts the invoice need not enter charges
        lines = invoice.invoice_line_ids.filtered(
            lambda line: line.display_type == "product" and not line.reseller_settles
        )
        known = statement_sudo.charge_ids.manual_charge_id.filtered("is_of_invoice")
        lines_sudo = lines.sudo()  # who posts the invoice need not read charges by hand
        items = {
            line.sudo(False): line.charge_id.manual_charge_id  # back to the caller's rights
            for line in lines_sudo
            if not line.charge_id or line.charge_id.manual_charge_id in known
        }
        if not (items or known):
            return
        # A charge has its exact values from the start: what may have changed is made anew.
        by_hand = lines.browse([line.id for line in items])
        by_hand.with_context(reseller_billing=BILLING).charge_id = False
        statement_sudo.charge_ids.filtered(lambda charge: charge.manual_charge_id in known).unlink()
        known.statement_id = False
        number = max(statement_sudo.charge_ids.mapped("sequence"), default=0)
        standing = by_hand.filtered(lambda line: line.quantity and line.price_unit)
        rows = []
        for line in standing:
            vals = self._prepare_line_vals(line, statement_sudo)
            item_sudo = items[line]
            if item_sudo:
                item_sudo.write(vals)
                item_sudo.statement_id = statement_sudo
            else:
                vals |= {"statement_id": statement_sudo.id, "is_of_invoice": True}
                item_sudo = items_sudo.create(vals)
            rows.append(
                {
                    **statement_sudo._prepare_charge_vals(),
                    **item_sudo._prepare_charge_vals(),
                    "is_paper": False,
                    "sequence": number + len(rows) + 1,
                }
            )
        charges = self.env["reseller.charge"]._insert(rows)
        for line, charge in zip(standing, charges, strict=True):
            line.with_context(reseller_billing=BILLING).write(
                {"charge_id": charge.id, **charge._prepare_whose_vals()}
            )
        known.filtered(lambda item: not item.statement_id).unlink()
        statement_sudo.invalidate_recordset(["charge_ids"])
        exact = statement_sudo.charge_ids._get_exact()
        total = sum((amount for _quantity, _price, amount in exact.values()), Decimal(0))
        statement_sudo.amount_total = float(total)

    @api.model
    def _prepare_line_vals(self, line, statement):
        """Return the values of the charge or credit by hand that an invoice line is."""
        sign = -1 if line.move_id.move_type == "out_refund" else 1
        with rating.exact():
            factor = 1 - rating.exact_of(line.discount) / 100
            price = rating.exact_of(line.price_unit) * factor
            amount = sign * rating.exact_of(line.quantity) * price
        return {
            "client_id": statement.client_id.id,
            "product_id": line.product_id.id,
            "name": line.name or line.product_id.display_name or self.env._("By hand"),
            "kind": "credit" if amount < 0 else "manual",
            "date": statement.bill_date,
            "quantity": abs(line.quantity),
            "unit_price": float(abs(price)),
        }

    def _prepare_charge_vals(self):
        """Return the values of this item's charge."""
        self.ensure_one()
        quantity, price, amount = self._get_exact()
        grant = self._prepare_grant()
        return {
            "kind": "package" if grant else self.kind,
            "name": self.name,
            "quantity": quantity,
            "unit_price": price,
            "amount": amount,
            "date_from": self.date,
            "date_to": self.date,
            "manual_charge_id": self.id,
            "trace": {
                "rounding": rating.text(self.currency_id._get_exact_rounding()),
                "billed_before": "0",
                "rated": {
                    "kind": self.kind,
                    "quantity": rating.text(quantity),
                    "unit_price": rating.text(price),
                },
            },
            **(grant or {}),
        }

    def _prepare_grant(self):
        """Hook: return what one unit of this item gives to the client, as values of its charge; None: nothing."""
        self.ensure_one()
        return

    def _get_product(self):
        self.ensure_one()
        return self.product_id or self.company_id.reseller_usage_product_id
