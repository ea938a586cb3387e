"""Random months of one client with wallet, packages and refills, checked after every step."""

import math
import random
from datetime import timedelta
from fractions import Fraction

import pytest
from freezegun import freeze_time
from odoo.exceptions import UserError

# Name, units, price, months of validity, and when it is taxed: prices that divide badly.
PACKAGES = [
    ("Fifty", 50, 20, 0, "receipt"),
    ("Month", 30, 9.99, 1, "receipt"),
    ("Gift", 7, 0, 2, "receipt"),
    ("Later", 40, 17.77, 3, "use"),
]
# Of use, in percent.
TAX = Fraction("7.7")


class History:
    """One client's random months; amounts have cents that divide badly."""

    def __init__(self, env, number):
        self.env = env
        self.chance = random.Random(number)
        self.units = 0
        # Bonuses lower the price or are an expense; refills are taxed at use or at receipt; in euros.
        env.company.reseller_bonus_mode = ("price", "expense")[number % 2]
        product = env.company.reseller_usage_product_id
        product.reseller_vat_mode = ("receipt", "use")[number // 2 % 2]
        self.currency = env["res.currency"].search(
            [("name", "=", ("USD", "EUR")[number // 3 % 2])], limit=1
        )
        self.client = env["reseller.client"].create(
            {
                "partner_id": env["res.partner"].create({"name": f"C{number}"}).id,
                "reseller_id": env["reseller.reseller"]
                .search([("currency_id", "=", self.currency.id)])
                .id,
                "ref": f"C{number}",
                "membership_ids": [(0, 0, {"date_from": "2024-01-01"})],
                "wallet_use": self.chance.choice(["always", "always", "usage"]),
            }
        )
        self.client.action_activate()
        self.events = []
        self.ends = {}  # what was shown for the ends of months
        if self.chance.random() < 0.5:
            self.client.write(
                {"refill_by": "invoice", "refill_amount": 37.55, "refill_threshold": 5}
            )

    def cents(self, high):
        return self.chance.randrange(1, high) / 100

    def check(self):
        assert not self.env["reseller.wallet.check"].search([("is_different", "=", True)])
        for lot in self.client.wallet_lot_ids:
            # One that waits for payment owes its cost, and has nothing to draw yet.
            assert 0 <= lot.cost_left <= max(lot.left, lot.cost * (lot.state == "waiting"))
            assert 0 <= lot.left <= lot.granted
        for lot in self.client.prepaid_lot_ids:
            assert 0 <= lot.left <= lot.granted
            assert 0 <= lot.cost_left <= lot.cost
            if lot.state == "open":
                # The share of its cost that goes with its units, however it came to them.
                share = Fraction(repr(lot.cost)) * Fraction(repr(lot.left)) / Fraction(lot.granted)
                cents = math.floor(share * 100 + Fraction(1, 2))
                assert round(lot.cost_left * 100) == cents

    def ask(self, kind, **values):
        self.env["reseller.wallet.request"].create(
            {"client_id": self.client.id, "kind": kind, "reason": kind, **values}
        ).action_do()
        self.client.invalidate_recordset()
        self.check()

    def receive(self, amount):
        payment = self.env["account.payment"].create(
            {
                "amount": amount,
                "currency_id": self.currency.id,
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.client.partner_id.id,
                "journal_id": self.env["account.journal"]
                .search([("type", "=", "bank")], limit=1)
                .id,
            }
        )
        payment.action_post()
        return payment.move_id.line_ids._get_open_receivables()

    def act(self, day):
        """Do something by hand, as somebody might."""
        what = self.chance.choice(
            [
                *["payment"] * 2,
                "gift",
                "debit",
                "refund",
                *["package"] * 4,
                *["refill"] * 2,
                "give back",
                "void sale",
            ]
        )
        until = self.chance.choice([False, day + timedelta(days=self.chance.randrange(1, 80))])
        if what == "payment":
            line = self.receive(self.cents(9000))
            self.ask(what, payment_line_id=line.id, amount=self.cents(900), date_until=until)
        elif what == "gift":
            self.ask(what, amount=self.cents(900), date_until=until)
        elif what == "debit" and self.client.wallet_balance > 1:
            self.ask(what, amount=self.cents(100))
        elif what == "refund" and self.client.wallet_lot_ids.filtered(
            lambda lot: lot.state == "open" and lot.cost_left
        ):
            self.ask(what)
        elif what == "package":
            self.buy(day)
        elif what == "refill":
            self.settle(self.client._refill().invoice_id)
        elif what == "give back":
            lots = self.client.prepaid_lot_ids.filtered(
                lambda lot: lot.state == "open" and lot.cost_left
            )
            if lots:
                self.chance.choice(lots).action_refund()
                self.client.invalidate_recordset()
                self.check()
        elif what == "void sale":
            self.void_sale(day)

    def void_sale(self, day):
        """Void a bill that sold something by a credit note: what was drawn on stays."""
        lots = [
            lot
            for lot in (*self.client.wallet_lot_ids, *self.client.prepaid_lot_ids)
            if lot.state in ("waiting", "open") and lot.charge_id.statement_id.invoice_id
        ]
        if not lots:
            return
        lot = self.chance.choice(lots)
        statement = lot.charge_id.statement_id
        if lot._is_untouched():
            statement._void_by_credit_note(day)
            assert (lot.state, lot.cost_left) == ("canceled", 0)
        else:
            with pytest.raises(UserError, match="used in part"), self.env.cr.savepoint():
                statement._void_by_credit_note(day)
        self.client.invalidate_recordset()
        self.check()

    def replace(self):
        """Replace the invoice of an earlier bill by one with another total."""
        statements = self.client.statement_ids.filtered(
            lambda one: one.state == "invoiced" and one.kind == "cycle"
        ).sorted("bill_date")[:-1]
        invoices = statements.invoice_id.filtered(
            lambda one: (
                one.state == "posted"
                and one.move_type == "out_invoice"
                and not one.invoice_line_ids.filtered("reseller_settles")
            )
        )
        if not invoices:
            return
        invoice = self.chance.choice(invoices)
        statement, paid = invoice.reseller_statement_id, invoice.payment_state
        self.env["account.move.reversal"].create(
            {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
        ).modify_moves()
        statement.invoice_id.invoice_cash_rounding_id = self.env["account.cash.rounding"].search(
            [], limit=1
        )
        statement.invoice_id.action_post()
        drawn = self.env["reseller.wallet.entry"].search(
            [("statement_id", "=", statement.id), ("kind", "in", ("draw", "return"))]
        )
        assert round(-sum(drawn.mapped("amount")), 2) <= statement.invoice_id.amount_total
        if paid == "paid" and drawn:
            assert statement.invoice_id.payment_state in ("paid", "partial")
        self.client.invalidate_recordset()
        self.check()

    def buy(self, day):
        """Buy a package: it is paid, or waits, or is cancelled."""
        name, _units, price, _months, _mode = self.chance.choice(PACKAGES)
        product = self.env["product.product"].search([("name", "=", name)])
        number = self.chance.randrange(1, 3)
        item = self.env["reseller.manual.charge"].create(
            {
                "client_id": self.client.id,
                "product_id": product.id,
                "name": name,
                "quantity": number,
                "unit_price": price,
                "date": day,
            }
        )
        item.action_bill_now()
        self.settle(item.statement_id.invoice_id)

    def settle(self, invoices):
        for invoice in invoices:
            self.check()
            fate = self.chance.random()
            if invoice._is_pro_forma() and self.chance.random() < 0.3:
                invoice.action_invoice_offer()
                self.check()
            if fate < 0.6 and invoice.amount_residual:
                line = self.receive(invoice.amount_residual)
                if invoice._is_pro_forma():
                    self.env["reseller.offer.payment"].create(
                        {"invoice_id": invoice.id, "line_id": line.id}
                    ).action_take()
                else:
                    (line | invoice.line_ids._get_open_receivables()).reconcile()
            elif fate > 0.8 and invoice.payment_state != "paid":
                invoice.button_cancel()
            self.client.invalidate_recordset()
            self.check()

    def use(self, day):
        quantity = self.chance.randrange(1, 60)
        when = day + timedelta(days=self.chance.randrange(28))
        outcome = self.env["reseller.usage.line"].ingest(
            [
                {
                    "id": f"{self.client.ref}/{day}",
                    "source": "history",
                    "client": self.client.ref,
                    "feature": "unit",
                    "time": f"{when}T12:00:00Z",
                    "quantity": quantity,
                }
            ]
        )
        assert outcome["accepted"] == 1
        self.units += quantity
        self.events.append((f"{self.client.ref}/{day}", when, quantity))

    def correct(self, day):
        """Take a part of an earlier month's use back."""
        number, when, quantity = self.events.pop(self.chance.randrange(len(self.events)))
        less = self.chance.randrange(1, quantity + 1)
        outcome = self.env["reseller.usage.line"].ingest(
            [
                {
                    "id": f"{number}/{day}",
                    "source": "history",
                    "client": self.client.ref,
                    "feature": "unit",
                    "time": f"{when}T12:00:00Z",
                    "quantity": -less,
                    "corrects": number,
                }
            ]
        )
        assert outcome["accepted"] == 1, outcome
        self.units -= less
        # What was used is told anew: no book has it.
        self.ends.clear()

    def end_month(self, day):
        """Post a month's end, and look again at those before: they are what they were."""
        wizards = self.env["reseller.month.end"]
        self.ends[day] = self.show_end(day)
        # Histories before had this month as well.
        there = self.env["account.move"].search(
            [("reseller_month_end", "=", day), ("state", "=", "posted")]
        )
        there.button_draft()
        there.button_cancel()
        if self.ends[day]:
            wizards.create({"date": day}).action_post()
        for before, shown in self.ends.items():
            assert self.show_end(before) == shown, before
        self.check()

    def show_end(self, day):
        wizard = self.env["reseller.month.end"].create({"date": day})
        wizard.action_compute()
        return sorted(
            (line.name, line.currency_id.name, line.accrued, line.deferred)
            for line in wizard.line_ids
            if line.accrued or line.deferred
        )

    def bill_and_compare(self, day):
        """Bill a month, and compare what it takes with the balances of the evening before."""
        evening = day - timedelta(days=1)
        with freeze_time(f"{evening} 23:00:00"):
            self.client.invalidate_recordset()
            live = self.client.live_balance
            [use] = [one for one in self.client.current_usage() if one["code"] == "unit"]
        invoice = self.bill(day)
        statement = self.env["reseller.statement"].search(
            [("client_id", "=", self.client.id), ("bill_date", "=", day), ("kind", "=", "cycle")],
            order="id desc",
            limit=1,
        )
        entries = self.env["reseller.wallet.entry"].search(
            [("statement_id", "=", statement.id), ("kind", "=", "draw")]
        )
        taken, owed = -sum(entries.mapped("amount")), self.get_share(statement)
        settled = statement.invoice_id.invoice_line_ids.filtered("reseller_settles")
        given_back = sum(line.price_total for line in settled if line.price_total > 0)
        assert taken <= owed + given_back + 0.001
        ended = self.env["reseller.wallet.entry"].search(
            [("statement_id", "=", statement.id), ("kind", "=", "expire")]
        )
        # Lots that ended within the month pay for it all the same; what ends tonight is there yet.
        left = sum(
            lot.left - sum((ended & lot.entry_ids).mapped("amount"))
            for lot in self.client.wallet_lot_ids
            if lot.state == "open"
            and (not lot.date_until or lot.date_until >= evening)
            # A bonus that the bill itself gives back is there with the bill alone.
            and lot.key != f"{statement._name},{statement.id}"
        )
        # A bonus that is given back is a line more, with which the bill's taxes are rounded.
        assert abs(left - (owed - taken) - live) < (0.015 if given_back else 0.005)
        of_units = self.env["reseller.prepaid.entry"].search([("statement_id", "=", statement.id)])
        expired = of_units.filtered(lambda one: one.kind == "expire")
        left = sum(
            lot.left - sum((expired & lot.entry_ids).mapped("quantity"))
            for lot in self.client.prepaid_lot_ids
            if lot.state == "open" and (not lot.date_until or lot.date_until >= evening)
        )
        assert left == float(use["prepaid_left"])
        for lot in [*self.client.wallet_lot_ids, *self.client.prepaid_lot_ids]:
            if lot.state == "open" and lot.date_until and lot.date_until < day:
                assert not lot.left and not lot.cost_left
        return invoice

    def get_share(self, statement):
        """Return how much of a bill's invoice the wallet may pay, as the client chose."""
        invoice = statement.invoice_id
        if invoice.move_type != "out_invoice":
            return 0.0
        lines = invoice.invoice_line_ids.filtered(lambda line: line.charge_id.kind == "usage")
        metered = max(sum(lines.mapped("price_total")), 0.0)
        # Before what the wallet gives has lowered it, and what it gets back has raised it.
        settled = invoice.invoice_line_ids.filtered("reseller_settles")
        total = invoice.amount_total - sum(settled.mapped("price_total"))
        by_choice = {"always": total, "usage": min(total, metered)}
        return max(by_choice[self.client.wallet_use], 0.0)

    def bill(self, day):
        """Bill a month; return its invoice."""
        run = self.env["reseller.billing.run"].create({"date": day})
        run.action_start()
        while run._process_batch():
            pass
        assert not run.parked_line_ids
        self.client.invalidate_recordset()
        self.check()
        return self.env["account.move"].search(
            [("reseller_client_id", "=", self.client.id), ("state", "=", "posted")],
            order="id desc",
            limit=1,
        )

    def void_and_bill(self, day):
        """Void a month's bill and bill it again: it comes to the same."""
        found = []
        for _time in range(2):
            self.client.invalidate_recordset()
            statement = self.client.statement_ids.filtered(
                lambda one: one.bill_date == day and one.kind == "cycle" and one.state != "void"
            )
            lots = [*self.client.wallet_lot_ids, *self.client.prepaid_lot_ids]
            # What is given back as bonus is given anew.
            left = sorted((lot.left, lot.cost_left) for lot in lots if lot.left or lot.cost_left)
            found.append((statement.amount_total, statement.invoice_id.amount_residual, left))
            if len(found) == 1:
                if statement.invoice_id and self.chance.random() < 0.5:
                    statement._void_by_credit_note(day)
                elif statement.invoice_id:
                    statement.invoice_id.button_cancel()
                else:
                    statement.action_void()
                self.check()
                self.bill(day)
        assert found[0] == found[1]

    def void_earlier(self, day):
        """Void a bill that others follow by a credit note, and bill its month again."""
        statements = self.client.statement_ids.filtered(
            lambda one: one.state == "invoiced" and one.kind == "cycle"
        ).sorted("bill_date")[:-1]
        if not statements:
            return
        statement = self.chance.choice(statements)
        statement._void_by_credit_note(day)
        self.client.invalidate_recordset()
        # What this bill gave back may be used by others since: lots are whole with the next one.
        assert not self.env["reseller.wallet.check"].search([("is_different", "=", True)])
        self.bill(day)
        again = statement.search([("replaces_id", "=", statement.id)])
        assert (again.bill_date, again.period_start) == (
            statement.bill_date,
            statement.period_start,
        )
        assert not statement.is_freed

    def charge_by_hand(self, day):
        item = self.env["reseller.manual.charge"].create(
            {"client_id": self.client.id, "name": "Visit", "unit_price": 3, "date": day}
        )
        item.action_bill_now()
        self.units += 3
        self.check()

    def finish(self):
        """Accruals unwind to nothing; each unit of 1.00 was invoiced or drawn, and no bill that is void holds anything."""
        company = self.env.company
        accrued = company.reseller_accrued_account_id | company.reseller_deferred_account_id
        lines = self.env["account.move.line"].search(
            [("account_id", "in", accrued.ids), ("parent_state", "=", "posted")]
        )
        assert not round(sum(lines.mapped("balance")), 2)
        for name, units in (("wallet", "amount"), ("prepaid", "quantity")):
            entries = self.env[f"reseller.{name}.entry"].search(
                [("lot_id.client_id", "=", self.client.id), ("statement_id.state", "=", "void")]
            )
            for field in (units, "cost"):
                assert not round(sum(entries.mapped(field)), 6)
        drawn = self.env["reseller.prepaid.entry"].search(
            [("lot_id.client_id", "=", self.client.id), ("usage_date", "!=", False)]
        )
        invoices = self.env["account.move"].search(
            [
                ("reseller_client_id", "=", self.client.id),
                ("state", "=", "posted"),
                ("reseller_statement_id.state", "!=", "void"),
            ]
        )
        lines = invoices.invoice_line_ids.filtered(
            lambda line: (
                line.display_type == "product"
                and line.charge_id.kind not in ("package", "credit", "recurring")
                and not line.reseller_settles
            )
        )
        charged = -sum(lines.mapped("amount_currency"))
        assert round(charged - sum(drawn.mapped("quantity")), 2) == self.units
        self.check_taxes_of_packages()

    def check_taxes_of_packages(self):
        """What was used of packages that are taxed at use has its tax in it, to half a cent an entry, and
        nothing of others has one.
        """
        entries = self.env["reseller.prepaid.entry"].search(
            [("lot_id.client_id", "=", self.client.id), ("kind", "in", ("draw", "return"))]
        )
        for move, rows in entries.grouped("move_id").items():
            items = move.line_ids.filtered("tax_line_id")
            due = -sum(items.mapped("amount_currency"))
            assert round(sum(rows.mapped("tax")), 2) == round(due, 2)
            if set(rows.lot_id.mapped("vat_mode")) == {"receipt"}:
                assert not due
            elif rows[0].kind == "draw":
                paid = -sum(rows.mapped("cost"))
                exact = float(Fraction(repr(paid)) * TAX / (100 + TAX))
                assert abs(due - exact) <= 0.0051 * len(rows.lot_id), (paid, due)
