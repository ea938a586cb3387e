from datetime import date

from freezegun import freeze_time
from odoo.exceptions import AccessError, UserError, ValidationError

from .common_service import ServiceCommon


class TestWhatIf(ServiceCommon):
    """What a change of service would come to, dated back, and at once."""

    # What if

    def test_what_a_closing_would_give_back(self):
        self._run("2024-01-01")
        self._use("2024-01-05", 40, client="S")
        self._add_extra(self.client, 5, "2024-01-01")
        before = (self.client.next_bill_date, self.client.close_date, self.client.state)
        preview = self._what_if("close", "2024-01-20")
        # 11 of 31 days of the fee back; 20 of 31 units included, of 40 used.
        self.assertEqual(
            sorted(preview.charge_ids.filtered("feature_id").mapped("amount")), [-11, 20]
        )
        self.assertEqual((preview.state, preview.bill_date), ("preview", date(2024, 1, 21)))
        self.assertIn("Close: 01/20/2024", preview.assumption)
        self.env.invalidate_all()
        self.assertEqual(
            (self.client.next_bill_date, self.client.close_date, self.client.state), before
        )
        # The next bill, as it is: 9 units over, and February's fee.
        plain = self.client.preview_statement("2024-02-01")
        self.assertFalse(plain.assumption or preview.exists())
        self.assertEqual(sorted(plain.charge_ids.filtered("feature_id").mapped("amount")), [9, 31])

    def test_what_would_be_is_what_comes(self):
        """What a preview says is what the bill comes to once the change is made."""
        gold = self.env["reseller.client.group"].create(
            {"name": "Gold", "reseller_id": self.reseller.id}
        )
        self._create_rule(group_id=gold.id, recurring_fee=62, unit_price=0.5)
        self._run("2024-01-01")
        self._use("2024-01-05", 40, client="S")
        day = "2024-01-16"
        for change, values in (
            ("pause", {}),
            ("group", {"group_id": gold.id}),
            ("close", {}),
        ):
            with self.subTest(change=change), self.env.cr.savepoint() as savepoint:
                preview = self._what_if(change, day, **values)
                said = (preview.bill_date, preview.kind, preview.amount_total)
                names = preview.charge_ids.mapped("name")
                self._change(self.client, change, day, **values)
                self._run("2024-02-01")
                bill = self._statement(self.client, said[0])
                self.assertEqual((bill.bill_date, bill.kind, bill.amount_total), said)
                self.assertEqual(bill.charge_ids.mapped("name"), names)
                self.assertAgrees(bill)
                savepoint.rollback()

    def test_a_trial_is_extended(self):
        feature = self._create_feature("t")
        with freeze_time("2024-01-05 12:00:00"):
            with self.assertRaisesRegex(UserError, "no running trial"):
                self._change(self.client, "trial", "2024-01-20")
            self._create_rule(feature, recurring_fee=31, trial_days=10)
        over = self._create_feature("over")
        self._create_rule(over, recurring_fee=31, trial_days=3)
        self._run("2024-01-01")
        first = self._statement(self.client, "2024-01-01")
        self.assertEqual(self._amounts(first)["t", "recurring"], "21.00")
        self.assertEqual(self._amounts(first)["over", "recurring"], "28.00")
        with freeze_time("2024-01-08 12:00:00"):
            with self.assertRaisesRegex(UserError, "lasts until 2024-01-10"):
                self._change(self.client, "trial", "2024-01-10")
            preview = self._what_if("trial", "2024-01-15")
            # Five days of the fee come back, beside February's 31.00; the trial that was over stays so.
            self.assertEqual(self._amounts(preview)["t", "recurring"], "26.00")
            self.assertEqual(self._amounts(preview)["over", "recurring"], "31.00")
            self.client.invalidate_recordset()
            self.assertFalse(self.client.trial_until)
            self._change(self.client, "trial", "2024-01-15")
        with freeze_time("2024-01-13 12:00:00"):
            # Once more: what was extended runs on.
            self._change(self.client, "trial", "2024-01-20")
        self._run("2024-02-01")
        bill = self._statement(self.client, "2024-02-01")
        self.assertEqual(self._amounts(bill)["t", "recurring"], "21.00")
        self.assertEqual(self._amounts(bill)["over", "recurring"], "31.00")
        self.assertAgrees(bill)
        # January is billed: its days stay as they are.
        with self.assertRaisesRegex(UserError, "billed until"):
            self.client.trial_until = "2024-02-10"

    def test_what_if_refuses_what_the_change_refuses(self):
        self._run("2024-02-01")
        with self.assertRaisesRegex(UserError, "billed until"):
            self._what_if("pause", "2024-01-10")
        # The bill of 1 March comes before one that shows it.
        with self.assertRaisesRegex(UserError, "bill of 2024-03-01 comes first"):
            self._what_if("pause", "2024-03-10")
        self.assertEqual(str(self._what_if("close", "2024-02-29").bill_date), "2024-03-01")
        draft = self._create_client("D", activate=False)
        with self.assertRaisesRegex(UserError, "activate it first"):
            self.env["reseller.statement"]._preview_if(draft, date(2024, 1, 1), lambda: None, "")
        other = self._create_client("T")
        wizard = self.env["reseller.client.change"].create(
            {
                "client_ids": [(6, 0, (self.client | other).ids)],
                "change": "pause",
                "date": "2024-02-10",
            }
        )
        with self.assertRaisesRegex(UserError, "Choose one client"):
            wizard.action_preview()

    def test_a_closing_dated_back_gives_back_what_was_billed(self):
        for ref, day, quantity in (("S", "2024-02-05", 12), ("S", "2024-02-15", 23)):
            self._use(day, quantity, client=ref)
        self._run("2024-03-01")
        # Of 35 in February 31 are included.
        self.assertEqual(
            self._bills(self.client),
            [
                ("2024-01-01", "opening", "31.00"),
                ("2024-02-01", "cycle", "31.00"),
                ("2024-03-01", "cycle", "35.00"),
            ],
        )
        preview = self._what_if("close", "2024-02-10")
        shown = self._take_back("close", "2024-02-10")
        # February: 31 × 10 / 29 = 10.69 stay of 31.00, 12 used stay free or are 1.00 each: 31 × 10 / 29
        # = 11 are included, so that 1 is payable where 4 were. March goes back whole.
        self.assertIn("$ 54.31 are given back", shown.replace("\xa0", " "))
        self.assertEqual((preview.bill_date, preview.amount_total), (date(2024, 3, 1), -54.31))
        self.assertEqual(
            (self.client.next_bill_date, self.client.state), (date(2024, 3, 1), "active")
        )
        self._run("2024-03-05")
        final = self.client.statement_ids.sorted("id")[-1]
        self.assertEqual(
            (final.kind, final.bill_date, final.amount_total), ("final", date(2024, 3, 1), -54.31)
        )
        self.assertEqual(final.invoice_id.move_type, "out_refund")
        self.assertAgrees(final)
        self.assertEqual(
            sorted((charge.kind, charge.amount) for charge in final.charge_ids),
            [("overage", -3), ("recurring", -31), ("recurring", -20.31)],
        )
        self.assertEqual((self.client.state, self.client.close_date), ("closed", date(2024, 2, 10)))
        # Voided, it is made once more; nothing else comes.
        final.invoice_id.button_cancel()
        self.assertEqual(self.client.state, "active")
        self._run("2024-04-10")
        again = self._bills(self.client)
        self.assertEqual(again[-1], ("2024-03-01", "final", "-54.31"))
        self.assertEqual(len(again), 4)
        # Days after it are free to be served again.
        self.client.action_reopen("2024-03-21")
        self._run("2024-04-21")
        self.assertEqual(
            self._bills(self.client)[4:],
            [("2024-03-21", "opening", "31.00"), ("2024-04-21", "cycle", "31.00")],
        )

    def test_who_may_date_a_closing_back_and_how_far(self):
        self._run("2024-03-01")
        with self.assertRaisesRegex(ValidationError, "first free day is 2024-03-01"):
            self.client.action_close("2024-02-10")
        user = self._create_billing_user("back-user")
        as_user = self.client.with_user(user)
        with self.assertRaises(AccessError):
            as_user.action_close("2024-02-10", dated_back=True)
        wizard = self.env["reseller.client.change"].with_user(user)
        wizard = wizard.create(
            {"client_ids": self.client.ids, "change": "close", "date": "2024-02-10"}
        )
        with self.assertRaises(ValidationError):
            wizard.action_apply()
        # What a request's context says opens nothing.
        for forged in (True, "DATED_BACK", 1):
            row = self.client.membership_ids.with_context(reseller_dated_back=forged)
            with self.assertRaises(ValidationError), self.env.cr.savepoint():
                row.date_to = "2024-02-10"
        with freeze_time("2024-05-01 12:00:00"):
            self.company.reseller_late_days = 62
            with self.assertRaisesRegex(UserError, "credit it by hand"):
                self.client.action_close("2024-02-10", dated_back=True)
            self.client.action_close("2024-02-29", dated_back=True)
        self.assertEqual(self.client.close_date, date(2024, 2, 29))

    def test_switching_off_dated_back(self):
        extra = self._create_feature("extra")
        self._create_rule(extra, recurring_fee=29, enrolment="opt_in")
        everyone = self._create_feature("everyone")
        self._create_rule(everyone, recurring_fee=58)
        self.env["reseller.client.feature"].create(
            {
                "client_id": self.client.id,
                "feature_id": extra.id,
                "date_from": "2024-02-01",
                "quantity": 2,
            }
        )
        self._run("2024-03-01")
        self.assertEqual(
            self._amounts(self._statement(self.client, "2024-03-01")),
            {
                ("unit", "recurring"): "31.00",
                ("extra", "recurring"): "58.00",
                ("everyone", "recurring"): "58.00",
            },
        )
        with self.assertRaisesRegex(ValidationError, "first free day is 2024-03-01"):
            self.client.action_switch_off(extra, "2024-02-19")
        # February: 10 of 29 days of 2 × 29.00 back; March whole.
        shown = self._take_back("switch_off", "2024-02-19", feature_id=extra.id)
        self.assertIn("$ 78.00 are given back", shown.replace("\xa0", " "))
        self.client.action_switch_off(everyone, "2024-02-28", dated_back=True)
        self._run("2024-04-01")
        statement = self._statement(self.client, "2024-04-01")
        # Of what everyone has 1 of 29 days of 58.00, and March whole.
        self.assertEqual(
            self._amounts(statement),
            {
                ("unit", "recurring"): "31.00",
                ("extra", "recurring"): "-78.00",
                ("everyone", "recurring"): "-60.00",
            },
        )
        self.assertAgrees(statement)
        self._run("2024-05-01")
        self.assertEqual(
            self._amounts(self._statement(self.client, "2024-05-01")),
            {("unit", "recurring"): "31.00"},
        )

    def test_what_a_draft_price_would_come_to(self):
        draft = self._create_rule(
            recurring_fee=93, included_quantity=31, unit_price=2, active=False
        )
        self._run("2024-01-01")
        self._use("2024-01-20", 36, client="S")
        prices = self.env["reseller.price.rule"].search([])
        preview = self._what_if("price", "2024-01-16", draft_id=draft.id)
        # 16 of 31 days of January at 93.00 instead of 31.00: 48.00 − 16.00. Five of 36 used are over the 31
        # included, at 2.00; February at 93.00.
        self.assertEqual(
            (str(preview.bill_date), preview.amount_total), ("2024-02-01", 32 + 10 + 93)
        )
        self.assertEqual(self.env["reseller.price.rule"].search([]), prices)
        self.assertFalse(prices.filtered("date_to"))
        with self.assertRaisesRegex(UserError, "tried by What If"):
            self._change(self.client, "price", "2024-01-16", draft_id=draft.id)
        with self.assertRaisesRegex(UserError, "Choose the draft"):
            self._what_if("price", "2024-01-16")

    # At once

    def test_an_upgrade_is_billed_at_once(self):
        gold = self.env["reseller.client.group"].create(
            {"name": "Gold", "reseller_id": self.reseller.id}
        )
        self._create_rule(group_id=gold.id, recurring_fee=62, included_quantity=62, unit_price=1)
        seat = self._create_feature("seat")
        self._create_rule(seat, recurring_fee=15.5, enrolment="opt_in")
        self._run("2024-01-01")
        self._use("2024-01-10", 40, client="S")
        with freeze_time("2024-01-21 12:00:00"):
            self._change(self.client, "group", "2024-01-21", group_id=gold.id, bills_now=True)
            # Eleven of 31 days at 62.00 instead of 31.00; of 40 used on the 10th 31 were included then.
            instant = self.client.statement_ids.sorted("id")[-1]
            self.assertEqual(
                (instant.kind, instant.name, str(instant.bill_date)),
                ("instant", "S/2024-01-21/I", "2024-01-21"),
            )
            self.assertEqual(
                (str(instant.period_start), str(instant.period_end)), ("2024-01-01", "2024-01-20")
            )
            self.assertEqual(
                [(one.kind, one.amount) for one in instant.charge_ids.filtered("amount")],
                [("recurring", -11), ("recurring", 22), ("overage", 9)],
            )
            self.assertEqual(instant.invoice_id.amount_untaxed, 20)
            self.assertEqual(str(self.client.next_bill_date), "2024-02-01")
            with self.assertRaisesRegex(UserError, "choose a day after that"):
                self.client.action_bill_now("2024-01-20")
        with freeze_time("2024-01-25 12:00:00"):
            self._change(
                self.client, "enrol", "2024-01-25", feature_id=seat.id, quantity=2, bills_now=True
            )
            # 7 of 31 days of two seats.
            self.assertEqual(self.client.statement_ids.sorted("id")[-1].amount_total, 7)
            with self.assertRaisesRegex(UserError, "was made at once on that day"):
                self.client.action_bill_now("2024-01-25")
            user = self._create_billing_user("instant-user")
            with self.assertRaises(AccessError):
                self.client.with_user(user).action_bill_now()
        with freeze_time("2024-01-27 12:00:00"):
            refused = self.assertRaisesRegex(UserError, "Nothing of Client S is due")
            with refused, self.env.cr.savepoint():
                self.client.action_bill_now()
        self._use("2024-01-28", 10, client="S")
        # An instant bill that is void is made again with its own date, and what follows after it.
        last = self.client.statement_ids.sorted("id")[-1]
        last.invoice_id.button_cancel()
        self.assertEqual(str(self.client.next_bill_date), "2024-01-25")
        self._run("2024-02-01")
        self.assertEqual(
            self._bills(self.client),
            [
                ("2024-01-01", "opening", "31.00"),
                ("2024-01-21", "instant", "20.00"),
                ("2024-01-25", "instant", "7.00"),
                # 10 of the 11 units are used that gold has added; February: 62.00 and two seats.
                ("2024-02-01", "cycle", "93.00"),
            ],
        )
        with freeze_time("2024-03-05 12:00:00"), self.assertRaisesRegex(UserError, "comes first"):
            self.client.action_bill_now()

    def test_at_once_on_the_first_day_of_a_cycle_and_of_service(self):
        seat = self._create_feature("seat")
        self._create_rule(seat, recurring_fee=10, enrolment="opt_in")
        self._run("2024-01-01")
        with freeze_time("2024-01-01 18:00:00"):
            self.client.action_enrol(seat, 1, "2024-01-01")
            first = self.client.action_bill_now()
        self._run("2024-02-01")
        with freeze_time("2024-02-01 18:00:00"):
            self.client.action_enrol(seat, 3, "2024-02-01")
            second = self.client.action_bill_now()
        self.assertEqual(
            [(one.kind, str(one.bill_date), one.amount_total) for one in first | second],
            [("instant", "2024-01-01", 10), ("instant", "2024-02-01", 20)],
        )
        # Made again by a run that is reviewed, it is what it was.
        second.invoice_id.button_cancel()
        run = self.env["reseller.billing.run"].create({"date": "2024-02-01", "is_reviewed": True})
        run.action_start()
        while run._process_batch():
            pass
        run.action_approve()
        while run._process_batch():
            pass
        again = self.client.statement_ids.sorted("id")[-1]
        self.assertEqual((again.kind, again.state, again.amount_total), ("instant", "invoiced", 20))
        self._run("2024-03-01")
        self.assertEqual(self._statement(self.client, "2024-03-01").amount_total, 61)
        self.company.reseller_approver_differs = True
        with freeze_time("2024-03-05 12:00:00"), self.assertRaisesRegex(UserError, "somebody else"):
            self.client.action_bill_now()

    def test_a_quantity_ends_when_it_would_have_ended(self):
        seat = self._create_feature("seat")
        enrolments = self.env["reseller.client.feature"]

        def rows():
            found = enrolments.search([("client_id", "=", self.client.id)], order="date_from")
            return [(str(one.date_from), str(one.date_to), one.quantity) for one in found]

        for first, last, quantity in (("2024-01-01", "2024-06-30", 2), ("2024-09-01", False, 5)):
            enrolments.create(
                {
                    "client_id": self.client.id,
                    "feature_id": seat.id,
                    "date_from": first,
                    "date_to": last,
                    "quantity": quantity,
                }
            )
        self.client.action_enrol(seat, 3, "2024-03-01")
        self.assertEqual(
            rows(),
            [
                ("2024-01-01", "2024-02-29", 2),
                ("2024-03-01", "2024-06-30", 3),
                ("2024-09-01", "False", 3),
            ],
        )
        # Between two, it begins earlier.
        self.client.action_enrol(seat, 4, "2024-08-01")
        self.assertEqual(rows()[2:], [("2024-08-01", "2024-08-31", 4), ("2024-09-01", "False", 4)])
        self.client.action_switch_off(seat, "2024-03-31")
        self.assertEqual(rows(), [("2024-01-01", "2024-02-29", 2), ("2024-03-01", "2024-03-31", 3)])
