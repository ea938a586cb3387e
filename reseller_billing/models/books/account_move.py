from odoo import api, fields, models
from odoo.exceptions import UserError


class AccountMove(models.Model):
    """Month's ends: entries that reverse themselves, and are made again when bills come into them."""

    _inherit = "account.move"

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
    _reseller_month_end_uniq = models.UniqueIndex(
        "(company_id, reseller_month_end, currency_id) "
        "WHERE reseller_month_end IS NOT NULL AND state = 'posted'",
        "This day's unbilled use and unserved fees are posted already.",
    )

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
        for number, entries in enumerate(stale, 1):
            entries._follow_bills()
            if not cron._report_batch(1, remaining=len(stale) - number):
                return

    @api.model
    def _find_stale_month_ends(self):
        """Return a list of the entries that are to be made again, those of a company's day together."""
        found = self.search(
            [("reseller_is_stale", "=", True), ("state", "=", "posted")], order="date, id"
        )
        return list(
            found.grouped(lambda entry: (entry.reseller_month_end, entry.company_id)).values()
        )

    def _follow_bills(self):
        """Make these entries of a company's day again, or say on them why that cannot be."""
        try:
            with self.env.cr.savepoint():
                self._make_month_end_again()
        except UserError as error:
            # As in a locked period: an accountant unlocks it, and makes it again by hand.
            for entry in self.filtered(lambda move: not move.activity_ids):
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

    def _post(self, soft=True):
        """Override of `account`: the two halves of a month's end stand together; bills make it stale."""
        twins = self._with_month_end_twins().filtered(lambda move: move.state == "draft")
        posted = super(AccountMove, self | twins)._post(soft)
        posted._mark_month_ends()
        return posted

    def write(self, vals):
        """Override of `base`: a bill that leaves the books makes a month's end stale."""
        if vals.get("state") in ("draft", "cancel"):
            self.filtered(lambda move: move.state == "posted")._mark_month_ends()
        return super().write(vals)
