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

    reseller_month_end = fields.Date(
        readonly=True,
        copy=False,
        help="The day whose unbilled use and unserved fees this entry accrues and defers.",
    )

    reseller_is_stale = fields.Boolean(
        string="To Be Made Again",
        readonly=True,
        copy=False,
        help="Bills came into this month's books after its end was posted: it is made again.",
    )

    # Two accountants may end a month at the same moment.
    _reseller_month_end_uniq = models.UniqueIndex(
        "(company_id, reseller_month_end, currency_id) "
        "WHERE reseller_month_end IS NOT NULL AND state = 'posted'",
        "This day's unbilled use and unserved fees are posted already.",
    )

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
        twins = self._with_month_end_twins().filtered(lambda move: move.state == "draft")
        posted = super(AccountMove, self | twins)._post(soft)
        posted._follow_sold_lots()
        # A bill that makes its invoice has drawn nothing yet.
        posted.reseller_statement_id.filtered("invoice_id")._follow_replaced()
        posted.reseller_statement_id._link_given_back()
        posted._mark_month_ends()
        for move in posted.filtered(
            lambda one: one.reseller_client_id and one.invoice_cash_rounding_id
        ):
            rounding = move.line_ids.filtered(lambda line: line.display_type == "rounding")
            rounding.with_context(
                reseller_billing=BILLING
            ).reseller_client_id = move.reseller_client_id
        return posted

    def _with_month_end_twins(self):
        """Return these moves with the other half of each month's end: an entry and its reversal."""
        entries = (self | self.reversed_entry_id).filtered("reseller_month_end")
        return self | entries | entries.reversal_move_ids

    def button_draft(self):
        """Override of `account`: the two halves of a month's end stand and fall together."""
        return super(AccountMove, self._with_month_end_twins()).button_draft()

    def button_cancel(self):
        """Override of `account`: the two halves of a month's end stand and fall together."""
        return super(AccountMove, self._with_month_end_twins()).button_cancel()

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

    def _mark_month_ends(self):
        """Have the month's ends be made again that these bills lie in and that do not know them."""
        ours = self.filtered(lambda move: move.line_ids.reseller_client_id)
        for company, bills in ours.grouped("company_id").items():
            stale = self.sudo().search(  # whoever bills need not see the books
                [
                    ("company_id", "=", company.id),
                    ("reseller_month_end", ">=", min(bills.mapped("date"))),
                    ("state", "=", "posted"),
                ]
            )
            if stale:
                stale.reseller_is_stale = True
                cron = self.env.ref("reseller_billing.ir_cron_month_end")
                cron.sudo()._trigger()  # whoever bills may have it wake up

    @api.model
    def _cron_month_ends(self):
        """Make month's ends again that bills came into since, each in a transaction."""
        cron = self.env["ir.cron"]
        stale = self._find_stale_month_ends()
        cron._commit_progress(remaining=len(stale))
        for entries in stale:
            entries._follow_bills()
            if not cron._commit_progress(1):
                return

    @api.model
    def _find_stale_month_ends(self):
        """Return a list of the entries that are to be made again, those of a company's day together."""
        found = self.search(
            [("reseller_is_stale", "=", True), ("state", "=", "posted")], order="date, id"
        )
        return list(found.grouped(lambda one: (one.reseller_month_end, one.company_id)).values())

    def _follow_bills(self):
        """Make these entries of a company's day again, or say on them why that cannot be."""
        try:
            with self.env.cr.savepoint():
                self._make_month_end_again()
        except UserError as error:
            # As in a locked period: an accountant unlocks it, and makes it again by hand.
            for entry in self.filtered(lambda one: not one.activity_ids):
                entry.activity_schedule(
                    "mail.mail_activity_data_todo",
                    summary=self.env._("Make this month's end again"),
                    note=self.env._("Bills came in since. It was not made again: %s", error),
                    user_id=entry.create_uid.id,
                )

    def _make_month_end_again(self):
        """Cancel these entries, of one company's day, and post what they are now."""
        company, day = self.company_id, self[:1].reseller_month_end
        journal = self.journal_id[:1]
        self.button_draft()
        self.button_cancel()
        wizards = self.env["reseller.month.end"].with_company(company)
        wizard = wizards.create({"date": day, "company_id": company.id, "journal_id": journal.id})
        wizard._post_what_there_is()

    def _check_settles_nothing(self, is_modify):
        """Refuse plain credit notes of bills that have settled advances, which these would not bring back, and
        replacements of them at another rate.
        """
        for move in self.filtered("reseller_statement_id"):
            settled = move.invoice_line_ids.filtered(
                lambda line: line.reseller_settles == "advance"
            )
            is_foreign = move.currency_id != move.company_id.currency_id
            if settled and (is_foreign or not is_modify):
                move._raise_settled()

    def _raise_settled(self):
        raise UserError(
            self.env._(
                "The wallet has lowered %s: choose Void by Credit Note, which gives the wallet back what it "
                "gave, and has the days billed again.",
                self.display_name,
            )
        )

    def copy_data(self, default=None):
        """Override of `account`: a duplicate, which is no bill, is not lowered by a wallet."""
        found = super().copy_data(default)
        if self.env.context.get("include_business_fields"):
            return found  # of what reverses or replaces it
        for vals in found:
            if "line_ids" in vals:
                vals["line_ids"] = [
                    command
                    for command in vals["line_ids"]
                    if not (command[2] or {}).get("reseller_settles")
                ]
        return found

    def _check_sells_nothing(self):
        for lots in self.reseller_statement_id._find_sold_lots():
            standing = lots.filtered(lambda lot: lot.state != "canceled")
            if standing:
                raise UserError(
                    self.env._(
                        "This invoice sold %s, which a plain credit note would not take back: choose Void by "
                        "Credit Note, or refund what is left on the client's page Packages or Wallet.",
                        standing[0].display_name,
                    )
                )

    def _follow_sold_lots(self, day=None):
        """Have the packages and top-ups that these invoices sell follow them.

        :param date day: from which they do not stand; today if None
        """
        statements = self.reseller_statement_id
        if statements:
            for lots in statements._find_sold_lots():
                lots._follow_invoices(day)

    def _is_of_wallet(self, kinds=None):
        """Whether one of these entries books what wallets and packages gave or got.

        Invoices that sell them are not meant.
        """
        domain = Domain("move_id", "in", self.ids)
        domain &= Domain("kind", "in", kinds) if kinds else Domain("kind", "!=", "buy")
        return any(
            self.env[name].sudo().search_count(domain, limit=1)  # accountants need not see wallets
            for name in ("reseller.wallet.entry", "reseller.prepaid.entry")
        )

    def _check_not_of_wallet(self):
        if not _is_billing(self) and self._is_of_wallet():
            raise UserError(
                self.env._(
                    "This entry belongs to a wallet or package and stays with it: void the bill that it "
                    "pays, enter a credit or debit of the wallet, or refund the package."
                )
            )

    def _reverse_moves(self, default_values_list=None, cancel=False):
        """Override of `account`: entries of wallets are turned by what turns the wallet."""
        self._check_not_of_wallet()
        return super()._reverse_moves(default_values_list, cancel)

    @api.model_create_multi
    def create(self, vals_list):
        self._check_history(name for vals in vals_list for name, value in vals.items() if value)
        return super().create(vals_list)

    def _check_history(self, names):
        if not _is_billing(self) and set(HISTORY) & set(names):
            raise UserError(self.env._("Which invoice has replaced another, billing itself keeps."))

    def _check_voids_nothing(self):
        """Refuse to take back the credit notes of void bills, or their invoices: days are billed again."""
        statements_sudo = self.env["reseller.statement"].sudo()  # accountants need not see bills
        void = statements_sudo.search(
            Domain("credit_note_id", "in", self.ids)
            | (Domain("invoice_id", "in", self.ids) & Domain("credit_note_id", "!=", False)),
            limit=1,
        )
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
            self.filtered(lambda move: move.state == "posted")._mark_month_ends()
            self._check_not_of_wallet()
            self._check_voids_nothing()
            # Posted again, it would pay the invoice by itself, which accountants choose.
            ours = self.filtered(lambda one: one.reseller_statement_id and one.reversed_entry_id)
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
        if vals.get("state") in ("draft", "cancel"):
            self._follow_sold_lots()
        if {"state", "invoice_date_due"} & vals.keys():
            # A credit note that is posted, or an invoice that is cancelled, ends a lock-out, too.
            self.line_ids._follow_lockouts()
        return done

    @api.ondelete(at_uninstall=False)
    def _unlink_except_prepaid(self):
        for name in ("reseller.wallet.entry", "reseller.prepaid.entry"):
            entries_sudo = self.env[name].sudo()  # who deletes need not see lots
            entry_sudo = entries_sudo.search([("move_id", "in", self.ids)], limit=1)
            if entry_sudo:
                raise UserError(
                    self.env._(
                        "%s has sold or booked what is prepaid, whose history stays: cancel it "
                        "instead.",
                        entry_sudo.move_id.display_name,
                    )
                )

    def unlink(self):
        self._check_voids_nothing()
        statements = self.reseller_statement_id.filtered(lambda one: one.invoice_id in self)
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
        statement._leave_invoice(self, reversal)
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
                "reseller_is_offer": self.reseller_is_offer,
                "delivery_date": self.delivery_date,
            }
        )
        # The accountant need not have rights on statements; the link follows the invoice.
        statement.sudo().invoice_id = replacement
        charges.invalidate_recordset(["move_line_ids"])
        replacement._follow_sold_lots(reversal.date)
        if reversal.state == "posted":
            statement.client_id._book_exchange_of(self | reversal, reversal.date, reversal)
        self.message_post(
            body=self.env._(
                "The statement %(statement)s is now billed by %(invoice)s.",
                statement=statement.name,
                invoice=replacement.display_name,
            )
        )

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
        if self.invoice_line_ids.filtered("reseller_settles"):
            self._raise_settled()
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
        for line in bills.invoice_line_ids.filtered(lambda one: one.display_type == "product"):
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
