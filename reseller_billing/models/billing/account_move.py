from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from .account_move_line import BILLING, OF_BILLING, _is_billing

# What would make an invoice disagree with its statement.
STATEMENT_OWNED = {
    "move_type",
    "currency_id",
    "company_id",
    "reseller_statement_id",
    "reseller_is_offer",
}
# What the books of a past day are read by, also of what bills no statement any more.
HISTORY = ("reseller_former_statement_id", "reseller_reversal_id")


class AccountMove(models.Model):
    _inherit = "account.move"

    reseller_statement_id = fields.Many2one(
        "reseller.statement", readonly=True, copy=False, index="btree_not_null", ondelete="restrict"
    )
    reseller_statement_state = fields.Selection(related="reseller_statement_id.state")
    reseller_former_statement_id = fields.Many2one(
        "reseller.statement",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="The statement that this invoice billed until another one replaced it.",
    )
    reseller_reversal_id = fields.Many2one(
        "account.move",
        string="Reversed When Replaced",
        readonly=True,
        copy=False,
        help="The document that took this invoice out of the books when another one replaced it.",
    )
    reseller_client_id = fields.Many2one(
        related="reseller_statement_id.client_id",
        string="Billing Account",
        store=True,
        index="btree_not_null",
    )
    reseller_reseller_id = fields.Many2one(
        related="reseller_statement_id.reseller_id",
        string="Reseller",
        store=True,
        index="btree_not_null",
    )
    reseller_is_offer = fields.Boolean(
        readonly=True,
        copy=False,
        help="It sells only what may be used once it is paid: until then nothing is owed.",
    )

    # Two accountants may end a month at the same moment.

    @api.model
    def _get_bills_action(self, domain, **context):
        """Return the action that opens the invoices and credit notes of bills, as Odoo lists them."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Invoices"),
            "res_model": self._name,
            "view_mode": "list,form",
            "views": [(self.env.ref("account.view_out_invoice_tree").id, "list"), (False, "form")],
            "search_view_id": self.env.ref("account.view_account_invoice_filter").id,
            "domain": domain,
            "context": context,
        }

    def _post(self, soft=True):
        void = self.filtered(lambda move: move.reseller_statement_id.state == "void")
        if void:
            raise UserError(
                self.env._(
                    "The statement of %s is void and its period is billed again: "
                    "this invoice can never be posted.",
                    void[0].display_name,
                )
            )
        for move in self:
            # A bill that makes its invoice has no lines but its own.
            if move.reseller_statement_id.invoice_id == move:
                self.env["reseller.manual.charge"]._follow_invoice(move)
        posted = super()._post(soft)
        posted.reseller_statement_id._link_given_back()
        for move in posted.filtered(
            lambda one: one.reseller_client_id and one.invoice_cash_rounding_id
        ):
            rounding = move.line_ids.filtered(lambda line: line.display_type == "rounding")
            rounding.with_context(
                reseller_billing=BILLING
            ).reseller_client_id = move.reseller_client_id
        return posted

    def _get_accounting_date_source(self):
        """Override of `account`: bills lie in the books of the last day served, where the company wants that.

        What replaces a document, or bills days again that it has billed, lies where it is made.
        """
        source = super()._get_accounting_date_source()
        statement_sudo = self.reseller_statement_id.sudo()  # whoever posts
        company_sudo = self.company_id.sudo()  # as above
        if (
            not (source and statement_sudo and self.delivery_date)
            or company_sudo.reseller_accounting_date != "served"
            or statement_sudo.replaces_id
            # A bill that makes its invoice replaces none.
            or (
                statement_sudo.invoice_id
                and self.search_count(
                    [("reseller_former_statement_id", "=", statement_sudo.id)], limit=1
                )
            )
        ):
            return source
        served = min(source, self.delivery_date)
        if self._get_violated_lock_dates(served, self._affect_tax_report()):
            return source
        return served

    @api.model_create_multi
    def create(self, vals_list):
        self._check_history(name for vals in vals_list for name, value in vals.items() if value)
        return super().create(vals_list)

    def _check_history(self, names):
        if not _is_billing(self) and set(HISTORY) & set(names):
            raise UserError(self.env._("Which invoice has replaced another, billing itself keeps."))

    def _find_voided(self):
        """Return the bills that these documents have billed, or made void by credit note, seen or not."""
        statements_sudo = self.env["reseller.statement"].sudo()  # accountants need not see bills
        return statements_sudo.search(
            Domain("credit_note_id", "in", self.ids)
            | (Domain("invoice_id", "in", self.ids) & Domain("credit_note_id", "!=", False))
        )

    def _compute_show_reset_to_draft_button(self):
        """Override of `account`: both documents of a bill that is void by credit note stay."""
        done = super()._compute_show_reset_to_draft_button()
        void = self.filtered("show_reset_to_draft_button")._find_voided()
        for move in self & (void.invoice_id | void.credit_note_id):
            move.show_reset_to_draft_button = False
        return done

    def _check_voids_nothing(self):
        """Refuse to take back the credit notes of void bills, or their invoices: days are billed again."""
        void = self._find_voided()[:1]
        if void:
            raise UserError(
                self.env._(
                    "%(note)s has made the bill %(statement)s with %(invoice)s void, and its days are billed "
                    "again: both documents stay as they are.",
                    note=void.credit_note_id.name,
                    statement=void.name,
                    invoice=void.invoice_id.name,
                )
            )

    def write(self, vals):
        self._check_history(vals)
        if vals.get("state") in ("draft", "cancel"):
            self._check_voids_nothing()
            # Posted again, it would pay the invoice by itself, which accountants choose.
            ours = self.filtered(lambda move: move.reseller_statement_id and move.reversed_entry_id)
            if ours:
                super(AccountMove, ours).write({"reversed_entry_id": False})
        if STATEMENT_OWNED & vals.keys() and not _is_billing(self):
            for move in self.filtered("reseller_statement_id"):
                for name in STATEMENT_OWNED & vals.keys():
                    value = move._fields[name].convert_to_cache(vals[name], move)
                    if value != move._fields[name].convert_to_cache(move[name], move):
                        raise UserError(
                            self.env._(
                                "%s is the invoice of a statement: its kind and currency stay. "
                                "Cancel it to bill the period again.",
                                move.display_name,
                            )
                        )
        done = super().write(vals)
        if vals.get("state") == "cancel":
            self.reseller_statement_id._void()
        return done

    def unlink(self):
        self._check_voids_nothing()
        statements = self.reseller_statement_id.filtered(
            lambda statement: statement.invoice_id in self
        )
        statements._void()
        # The void statement outlives its invoice.
        self.with_context(reseller_billing=BILLING).reseller_statement_id = False
        return super(AccountMove, self.with_context(reseller_billing=BILLING)).unlink()

    def _move_statement_to(self, replacement, reversal):
        """Hand the statement over to the invoice that replaces this one.

        :param reversal: the document that takes this one out of the books
        """
        self.ensure_one()
        statement = self.reseller_statement_id
        lines = self._get_product_lines()
        charges = lines.mapped("charge_id")
        copies = replacement._get_product_lines()
        names = ("charge_id", *OF_BILLING)
        links = [line._convert_to_write({name: line[name] for name in names}) for line in lines]
        lines.with_context(reseller_billing=BILLING).write(dict.fromkeys(names, False))
        for line, vals in zip(copies, links, strict=True):
            line.with_context(reseller_billing=BILLING).write(vals)
        self.with_context(reseller_billing=BILLING).write(
            {
                "reseller_statement_id": False,
                "reseller_former_statement_id": statement.id,
                "reseller_reversal_id": reversal.id,
            }
        )
        replacement.with_context(reseller_billing=BILLING).write(
            {
                "reseller_statement_id": statement.id,
                "delivery_date": self.delivery_date,
            }
        )
        # The accountant need not have rights on statements; the link follows the invoice.
        statement.sudo().invoice_id = replacement
        charges.invalidate_recordset(["move_line_ids"])
        self.message_post(
            body=self.env._(
                "The statement %(statement)s is now billed by %(invoice)s.",
                statement=statement.name,
                invoice=replacement.display_name,
            )
        )

    def _check_replaceable(self, is_modify):
        """Hook: refuse a credit note, or a replacement, that would not take back what a bill has done.

        :param bool is_modify: whether another invoice replaces these
        """
        self._check_voids_nothing()

    def action_correct_taxes(self):
        """Reverse this posted invoice of a statement, and open the draft that replaces it, with the taxes
        of today: those of its products and of the customer's fiscal position. The statement stays.

        Works in hashed journals and closed periods too: both documents are of today.

        :raise UserError: when it is not posted, or bills no statement
        """
        self.ensure_one()
        self._check_voids_nothing()
        statement = self.reseller_statement_id
        if not statement or self.state != "posted":
            raise UserError(
                self.env._("Taxes are corrected on a posted invoice of a statement: choose one.")
            )
        self._check_replaceable(is_modify=True)
        wizard = self.env["account.move.reversal"].with_context(
            active_model=self._name, active_ids=self.ids
        )
        wizard.create(
            {"journal_id": self.journal_id.id, "reason": self.env._("Correction of taxes")}
        ).reverse_moves(is_modify=True)
        replacement = statement.sudo().invoice_id.with_env(self.env)  # accountants see invoices
        client = statement.client_id
        positions = self.env["reseller.statement"]._get_fiscal_positions(client, self.company_id)
        replacement.fiscal_position_id = positions[client.id]
        replacement.action_update_fpos_values()
        return replacement._get_records_action(name=self.env._("Correct Taxes"))

    def action_update_fpos_values(self):
        """Override of `account`: the lines of statements keep their prices, and what was sold ahead or is
        given back keeps its taxes.
        """
        bills = self.filtered("reseller_statement_id")
        for line in bills.invoice_line_ids.filtered(lambda line: line.display_type == "product"):
            if line.reverses_charge_id or not line._is_settled():
                line.tax_ids = line._get_computed_taxes()
                line._follow_position()
        bills.invoice_line_ids._compute_account_id()
        return super(AccountMove, self - bills).action_update_fpos_values()

    def _get_product_lines(self):
        self.ensure_one()
        return self.invoice_line_ids.filtered(lambda line: line.display_type == "product").sorted(
            lambda line: (line.sequence, line.id)
        )

    def _get_next_due(self):
        """Return the day on which what is open of this invoice is due, the first of several."""
        self.ensure_one()
        lines = self.line_ids._get_open_receivables()
        return min(
            (line.date_maturity or line.date for line in lines),
            default=self.invoice_date_due or self.date,
        )

    def action_void_by_credit_note(self):
        """Open the dialog that voids the bills of these invoices by credit notes."""
        return self.reseller_statement_id.action_void_by_credit_note()

    def action_view_statement(self):
        """Open the statement that this invoice bills."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "reseller.statement",
            "view_mode": "form",
            "res_id": self.reseller_statement_id.id,
        }

    def _is_pro_forma(self):
        """Whether this is an offer that nobody has paid; a bill without an invoice is none."""
        return self.reseller_is_offer and self.state == "draft"
