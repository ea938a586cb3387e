from unittest.mock import patch

from freezegun import freeze_time
from odoo import Command
from odoo.exceptions import UserError

from ...models.billing.account_move_line import BILLING
from ..common import PrepaidCommon

OFFERS = "odoo.addons.reseller_billing.models.prepaid.account_move_offer"


class TestOffers(PrepaidCommon):
    """What is sold to be used once it is paid is pro-forma until it is paid."""

    def setUp(self):
        super().setUp()
        self.tax = self._create_owed_tax(19, self.prepaid.copy({"name": "Tax"}))
        self.package.taxes_id = self.tax
        self.bank_journal = self.company_data["default_journal_bank"]

    def _offer(self, day="2024-01-31", **values):
        lot = self._sell(day, pay=False, **values)
        return lot, lot.charge_id.statement_id.invoice_id

    def _receive_line(self, day, amount, text):
        return self.env["account.bank.statement.line"].create(
            {
                "journal_id": self.bank_journal.id,
                "date": day,
                "amount": amount,
                "payment_ref": text,
            }
        )

    def test_nothing_is_in_the_books_until_it_is_paid(self):
        before = self.env["account.move.line"].search_count([("parent_state", "=", "posted")])
        lot, offer = self._offer()
        self.assertEqual((offer.state, lot.state, offer.amount_total), ("draft", "offered", 59.5))
        self.assertEqual(
            self.env["account.move.line"].search_count([("parent_state", "=", "posted")]), before
        )
        self.assertEqual(self.client_a._load_owed()[self.client_a.id], (0, 0))
        self.assertTrue(offer._has_to_be_paid())
        with self.assertRaisesRegex(UserError, "choose Paid by Bank"), self.env.cr.savepoint():
            offer.action_post()
        # Confirming all drafts at once does not post it either.
        wizard = self.env["validate.account.move"].with_context(
            active_model="account.move", active_ids=offer.ids
        )
        with self.assertRaisesRegex(UserError, "choose Paid by Bank"), self.env.cr.savepoint():
            wizard.create({}).validate_move()
        offer.button_cancel()
        self.assertEqual((lot.state, lot.charge_id.statement_id.state), ("canceled", "void"))
        _other, deleted = self._offer("2024-02-02")
        deleted.unlink()
        self.assertEqual(set(self.client_a.prepaid_lot_ids.mapped("state")), {"canceled"})
        self.assertBooks()

    def test_a_bank_statement_line_pays_it_on_its_own_day(self):
        lot, offer = self._offer()
        line = self._receive_line("2024-02-03", 60, f"Transfer {offer.payment_reference} thank you")
        self._receive_line("2024-02-03", 59.5, "another one")
        with freeze_time("2024-02-10 12:00:00"):
            dialog = self.env["reseller.offer.payment"].create({"invoice_id": offer.id})
            self.assertEqual(dialog.statement_line_id, line)
            dialog.action_take()
        self.assertEqual(
            (offer.state, str(offer.date), str(offer.invoice_date), offer.payment_state),
            ("posted", "2024-02-03", "2024-02-03", "paid"),
        )
        # 60.00 came, 59.50 were asked: 50.00 are deferred, 9.50 taxes, and 0.50 a credit.
        receivable = offer.line_ids.filtered(lambda one: one.display_type == "payment_term")
        self.assertEqual(self._balance(self.prepaid), -50)
        self.assertEqual(-sum(offer.line_ids.filtered("tax_line_id").mapped("balance")), 9.5)
        self.assertEqual(self._balance(receivable.account_id), -0.5)
        self.assertTrue(line.is_reconciled)
        self.assertEqual((lot.state, lot.left, lot.cost_left), ("open", 100, 50))
        self.assertFalse(offer.reseller_is_offer)
        self.assertBooks()

    def test_what_does_not_pay_it_whole_leaves_it(self):
        lot, offer = self._offer()
        line = self._receive_line("2024-02-03", 59.49, offer.payment_reference)
        dialog = self.env["reseller.offer.payment"].create({"invoice_id": offer.id})
        with self.assertRaisesRegex(UserError, r"not over \$\s*59.50"), self.env.cr.savepoint():
            dialog.action_take()
        dialog.statement_line_id = False
        with self.assertRaisesRegex(UserError, "Choose a payment"):
            dialog.action_take()
        self.assertEqual((offer.state, lot.state, line.is_reconciled), ("draft", "offered", False))

    def test_a_payment_of_a_locked_period_is_refused(self):
        lot, offer = self._offer()
        self._receive(59.5, date="2024-02-03")
        self.company.fiscalyear_lock_date = "2024-02-28"
        dialog = self.env["reseller.offer.payment"].create({"invoice_id": offer.id})
        self.assertFalse(dialog.line_id, "nothing names the offer")
        dialog.line_id = dialog.found_line_ids
        with self.assertRaisesRegex(UserError, "locked period"), self.env.cr.savepoint():
            dialog.action_take()
        self.assertEqual((offer.state, lot.state), ("draft", "offered"))

    def test_the_wallet_pays_it_whole_and_posts_it(self):
        with freeze_time("2024-01-01 12:00:00"):
            self.client_a._give_to_wallet(60, "Fair", "fair")
        lot, invoice = self._offer()
        self.assertEqual((invoice.state, invoice.payment_state), ("posted", "paid"))
        self.assertEqual((lot.state, lot.left), ("open", 100))
        self.assertEqual(self.client_a.wallet_lot_ids.left, 0.5)
        self.assertBooks()

    def test_the_wallet_does_not_sink_into_an_offer_with_a_top_up(self):
        with freeze_time("2024-01-01 12:00:00"):
            self.client_a._give_to_wallet(60, "Fair", "fair")
        with freeze_time("2024-01-31 12:00:00"):
            items = self.env["reseller.manual.charge"].create(
                [
                    {
                        "client_id": self.client_a.id,
                        "product_id": product.id,
                        "name": product.name,
                        "date": "2024-01-31",
                        "unit_price": product.list_price,
                    }
                    for product in (self.package, self._create_top_up())
                ]
            )
            items.action_bill_now()
        self.assertEqual(items.statement_id.invoice_id.state, "draft")
        self.assertEqual(self.client_a.wallet_balance, 60)

    def test_who_pays_less_online_buys_nothing(self):
        lot, offer = self._offer()
        provider_sudo = self.env["payment.provider"].sudo()  # as an administrator
        provider_sudo = provider_sudo.search([("company_id", "=", self.company.id)], limit=1)
        transactions_sudo = self.env["payment.transaction"].sudo()  # as the portal
        for amount, state in ((0.01, "draft"), (59.5, "posted")):
            transaction_sudo = transactions_sudo.create(
                {
                    "provider_id": provider_sudo.id,
                    "payment_method_id": self.env.ref("payment.payment_method_unknown").id,
                    "reference": f"tx {amount}",
                    "amount": amount,
                    "currency_id": offer.currency_id.id,
                    "partner_id": offer.partner_id.id,
                    "operation": "online_direct",
                    "invoice_ids": [Command.set(offer.ids)],
                    "state": "done",
                }
            )
            with freeze_time("2024-02-03 12:00:00"):
                transaction_sudo._leave_unpaid_offers()
                if transaction_sudo.invoice_ids:
                    offer.action_post()
            self.assertEqual(offer.state, state)
        self.assertEqual(lot.state, "waiting")

    def test_a_payment_of_before_pays_on_the_day_of_the_offer(self):
        line = self._receive_line("2023-11-03", 59.5, "ahead")
        _lot, offer = self._offer()
        with freeze_time("2024-02-03 12:00:00"):
            self.env["reseller.offer.payment"].create(
                {"invoice_id": offer.id, "statement_line_id": line.id}
            ).action_take()
        self.assertEqual((str(offer.date), offer.payment_state), ("2024-01-31", "paid"))

    def _change_rate(self, **values):
        """Have the tax be 16 % from 1 February 2024 on."""
        lower = self._create_owed_tax(
            16, self.tax.invoice_repartition_line_ids.account_id, **values
        )
        self.env["reseller.tax.change"].create(
            {"old_tax_id": self.tax.id, "new_tax_id": lower.id, "date": "2024-02-01"}
        )
        return lower

    def _look_at_rates(self, day="2024-02-02"):
        """Run the scheduled action, whose commits are none here."""
        cron = type(self.env["ir.cron"])
        with (
            freeze_time(f"{day} 03:00:00"),
            patch.object(cron, "_commit_progress", lambda *args, **values: 1),
            patch(f"{OFFERS}.retrying", lambda function, env: function()),
        ):
            self.env["account.move"]._cron_follow_rates()

    def _take_bank_line(self, offer, day, amount, now="2024-02-10"):
        line = self._receive_line(day, amount, offer.payment_reference)
        with freeze_time(f"{now} 12:00:00"):
            self.env["reseller.offer.payment"].create(
                {"invoice_id": offer.id, "statement_line_id": line.id}
            ).action_take()

    def test_an_offer_has_the_tax_of_the_day_on_which_it_is_paid(self):
        lower = self._change_rate()
        lot, offer = self._offer()
        with self.assertRaisesRegex(UserError, r"not over \$\s*58.00"), self.env.cr.savepoint():
            self._take_bank_line(offer, "2024-02-03", 57.99)
        self.assertEqual(offer.amount_total, 59.5)
        self._take_bank_line(offer, "2024-02-03", 58)
        self.assertEqual((offer.invoice_line_ids.tax_ids, offer.amount_tax), (lower, 8))
        self.assertEqual((offer.payment_state, lot.state, lot.cost_left), ("paid", "open", 50))
        self.assertBooks()

    def test_what_was_paid_before_a_change_of_rate_has_the_tax_of_then(self):
        lower = self._change_rate()
        lot, offer = self._offer()
        by_hand_lot, by_hand = self._offer()
        by_hand.invoice_line_ids.with_context(reseller_billing=BILLING).tax_ids = False
        self._look_at_rates()
        # Who looks now sees what it costs now.
        self.assertEqual((offer.invoice_line_ids.tax_ids, offer.amount_total), (lower, 58))
        self.assertEqual((by_hand.amount_total, by_hand_lot.state), (50, "offered"))
        self._take_bank_line(offer, "2024-01-31", 59.5)
        self.assertEqual((str(offer.date), offer.amount_tax), ("2024-01-31", 9.5))
        self.assertEqual((offer.payment_state, lot.state), ("paid", "open"))
        self.assertBooks()

    def test_what_an_offer_sells_follows_its_taxes(self):
        self.tax.price_include_override = "tax_included"
        self._change_rate(price_include_override="tax_included")
        lot, offer = self._offer(price=59.5)
        self.assertEqual(lot.cost, 50)
        self._take_bank_line(offer, "2024-02-03", 59.5)
        # 59.50 ÷ 1.16 = 51.29 and 8.21.
        self.assertEqual((offer.amount_tax, lot.cost, lot.cost_left), (8.21, 51.29, 51.29))
        self.assertEqual(self._balance(self.prepaid), -51.29)
        self.assertBooks()

    def test_money_that_is_taxed_at_receipt_is_as_much_as_was_paid_for_it(self):
        self._change_rate()
        top_up = self._create_top_up(reseller_vat_mode="receipt", reseller_bonus=10)
        top_up.taxes_id = self.tax
        lot, offer = self._offer(package=top_up)
        self.assertEqual((lot.granted, lot.cost, lot.tax), (129, 100, 19))
        self._look_at_rates()
        self.assertEqual((lot.state, lot.granted, lot.tax), ("offered", 126, 16))
        self._take_bank_line(offer, "2024-02-03", 116)
        self.assertEqual((lot.left, lot.cost_left, lot.tax), (126, 100, 16))
        self.assertBooks()

    def test_a_tax_that_would_be_owed_to_the_client_is_not_followed(self):
        shares = [
            Command.create({"repartition_type": "base"}),
            Command.create({"repartition_type": "tax"}),
        ]
        self._change_rate(invoice_repartition_line_ids=shares)
        lot, offer = self._offer()
        with self.assertLogs(OFFERS, "WARNING") as log, patch.object(self.env.cr, "rollback"):
            self._look_at_rates()
        self.assertIn("has no account of its own", log.output[0])
        self.assertEqual((offer.amount_total, lot.cost), (59.5, 50))
        with self.assertRaisesRegex(UserError, "no account of its own"), self.env.cr.savepoint():
            self._take_bank_line(offer, "2024-02-03", 58)

    def test_a_top_up_for_nothing_is_refused(self):
        with self.assertRaisesRegex(UserError, "has no price"):
            self._offer(package=self._create_top_up(), price=0)

    def test_what_another_addon_asks_about_first_stays_an_offer(self):
        _lot, offer = self._offer()
        moves = type(self.env["account.move"])
        asks = {"type": "ir.actions.act_window", "name": "Partner risk exceeded"}
        with (
            patch.object(moves, "action_post", lambda moves: asks),
            self.assertRaisesRegex(UserError, "Partner risk"),
            self.env.cr.savepoint(),
        ):
            offer.action_invoice_offer()
        self.assertTrue(offer._is_pro_forma())

    def test_a_payment_under_way_keeps_what_it_pays(self):
        self._change_rate()
        lot, offer = self._offer()
        provider_sudo = self.env["payment.provider"].sudo()  # as an administrator
        provider_sudo = provider_sudo.search([("company_id", "=", self.company.id)], limit=1)
        provider_sudo.code = "demo"
        transactions_sudo = self.env["payment.transaction"].sudo()  # as the portal
        transaction_sudo = transactions_sudo.create(
            {
                "provider_id": provider_sudo.id,
                "payment_method_id": self.env.ref("payment.payment_method_unknown").id,
                "reference": "at midnight",
                "amount": offer.amount_total,
                "currency_id": offer.currency_id.id,
                "partner_id": offer.partner_id.id,
                "operation": "online_direct",
                "invoice_ids": [Command.set(offer.ids)],
                "state": "pending",
            }
        )
        self._look_at_rates()
        with freeze_time("2024-02-02 03:00:00"):
            self.assertEqual(offer.amount_total, 59.5)
            transaction_sudo.state = "done"
            transaction_sudo._leave_unpaid_offers()
            self.assertEqual(transaction_sudo.invoice_ids, offer)
            offer.action_post()
        self.assertEqual((offer.state, offer.amount_tax, lot.state), ("posted", 9.5, "waiting"))

    def test_an_invoice_before_the_payment_is_owed(self):
        lot, offer = self._offer()
        with freeze_time("2024-02-04 12:00:00"):
            offer.action_invoice_offer()
            self.assertEqual((lot.state, lot.cost_left), ("waiting", 50))
            self.assertEqual(float(self.client_a._load_owed()[self.client_a.id][0]), 59.5)
            self._pay(offer)
        self.assertEqual((str(offer.invoice_date), lot.state), ("2024-02-04", "open"))
        self.assertBooks()

    def test_the_mail_has_a_pro_forma_and_then_the_invoice(self):
        self.client_a.partner_id.email = "a@example.com"
        _lot, offer = self._offer()
        statement = offer.reseller_statement_id.sudo()  # as the scheduled action

        def send():
            before = self.env["mail.mail"].search([])
            with self.allow_pdf_render():
                statement.with_context(force_report_rendering=True)._send_mails()
            return self.env["mail.mail"].search([]) - before

        statement._queue_mails()
        mail = send()
        self.assertIn("nothing is", mail.body_html)
        self.assertIn(offer.payment_reference, mail.body_html)
        self.assertIn("proforma", " ".join(mail.attachment_ids.mapped("name")))
        self._pay(offer)
        self.assertEqual(statement.send_state, "queued")
        mail = send()
        self.assertIn(offer.name, mail.subject)
        self.assertEqual(statement.send_state, "sent")
        self.assertIn(offer.invoice_pdf_report_id.name, mail.attachment_ids.mapped("name"))
        self.assertNotIn("proforma", " ".join(mail.attachment_ids.mapped("name")))

    def test_in_another_currency_it_is_worth_what_it_is_on_the_day_of_its_payment(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].create(
            [
                {"currency_id": euro.id, "name": day, "rate": rate, "company_id": self.company.id}
                for day, rate in (("2024-01-01", 2), ("2024-02-03", 4))
            ]
        )
        self.package.taxes_id = False
        reseller = self._create_reseller("Euros", currency_id=euro.id)
        client = self._create_client("E", reseller_id=reseller.id)
        lot, offer = self._offer(client=client, price=50)
        self.assertEqual(offer.currency_id, euro)
        with freeze_time("2024-02-03 12:00:00"):
            self._pay(offer)
        # 50 at 4 to one.
        self.assertEqual((lot.cost, lot.cost_balance), (50, 12.5))
        self.assertBooks()
