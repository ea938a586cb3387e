"""Random histories of wallets, with real commits: lots and books agree after every step."""

import random
from datetime import date, timedelta

import processes
import pytest
from databases import TEMPLATE
from dateutil.relativedelta import relativedelta
from freezegun import freeze_time

HISTORIES = 12
MONTHS = 8


@pytest.fixture(scope="module", autouse=True)
def loaded():
    processes.load(TEMPLATE)


def set_up(env):
    """Make the accounts, a reseller whose clients' use costs 1.00 a unit, and its feature."""

    def account(code, kind):
        return env["account.account"].create({"code": code, "name": code, "account_type": kind}).id

    env.company.write(
        {
            "reseller_late_days": 100000,
            "reseller_wallet_journal_id": env["account.journal"]
            .create({"name": "Wallets", "code": "WAL", "type": "general"})
            .id,
            "reseller_deposit_account_id": account("299100", "liability_current"),
            "reseller_breakage_account_id": account("499100", "income_other"),
            "reseller_bonus_account_id": account("699100", "expense"),
        }
    )
    owner = env["res.partner"].create({"name": "R"})
    env["reseller.reseller"].create({"partner_id": owner.id, "code": "R"})
    feature = env["reseller.feature"].create({"name": "U", "code": "unit", "quantity_digits": 0})
    env["reseller.price.rule"].create({"feature_id": feature.id, "unit_price": 1})


class History:
    """One client's random months; amounts have cents that divide badly."""

    def __init__(self, env, number):
        self.env = env
        self.chance = random.Random(number)
        self.units = 0
        self.client = env["reseller.client"].create(
            {
                "partner_id": env["res.partner"].create({"name": f"C{number}"}).id,
                "reseller_id": env["reseller.reseller"].search([], limit=1).id,
                "ref": f"C{number}",
                "membership_ids": [(0, 0, {"date_from": "2024-01-01"})],
            }
        )
        self.client.action_activate()

    def cents(self, high):
        return self.chance.randrange(1, high) / 100

    def check(self):
        assert not self.env["reseller.wallet.check"].search([("difference", "!=", 0)])
        for lot in self.client.wallet_lot_ids:
            assert 0 <= lot.cost_left <= lot.left <= lot.granted

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
        what = self.chance.choice(["payment", "payment", "gift", "debit", "refund"])
        until = self.chance.choice([False, day + timedelta(days=self.chance.randrange(1, 80))])
        if what == "payment":
            line = self.receive(self.cents(9000))
            self.ask(what, payment_line_id=line.id, amount=self.cents(900), date_until=until)
        elif what == "gift":
            self.ask(what, amount=self.cents(900), date_until=until)
        elif what == "debit" and self.client.wallet_balance > 1:
            self.ask(what, amount=self.cents(100))
        elif what == "refund" and self.client.wallet_lot_ids.filtered("cost_left"):
            self.ask(what)

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

    def charge_by_hand(self, day):
        item = self.env["reseller.manual.charge"].create(
            {"client_id": self.client.id, "name": "Visit", "unit_price": 3, "date": day}
        )
        item.action_bill_now()
        self.units += 3
        self.check()

    def finish(self):
        """Each unit of 1.00 was drawn or is owed, and no bill that is void holds anything."""
        entries = self.env["reseller.wallet.entry"].search(
            [("client_id", "=", self.client.id), ("statement_id", "!=", False)]
        )
        void = entries.filtered(lambda one: one.statement_id.state == "void")
        assert not round(sum(void.mapped("amount")), 6) and not round(sum(void.mapped("cost")), 6)
        drawn = (entries - void).filtered(lambda one: one.kind == "draw")
        invoices = self.env["account.move"].search(
            [("reseller_client_id", "=", self.client.id), ("state", "=", "posted")]
        )
        owed = sum(invoices.mapped("amount_residual"))
        assert round(owed - sum(drawn.mapped("amount")), 2) == self.units


@pytest.mark.laws
def test_lots_and_books_agree_after_every_step_of_any_history(databases):
    database = databases.clone("wallets")
    with processes.environment(database) as env:
        set_up(env)
    with processes.environment(database) as env:
        for number in range(HISTORIES):
            history = History(env, number)
            day = date(2024, 1, 1)
            history.bill(day)
            for _month in range(MONTHS):
                with freeze_time(f"{day} 12:00:00"):
                    for _step in range(history.chance.randrange(3)):
                        history.act(day)
                    if history.chance.random() < 0.2:
                        history.charge_by_hand(day)
                history.use(day)
                following = day + relativedelta(months=1)
                invoice = history.bill(following)
                if history.chance.random() < 0.3:
                    before = invoice.amount_residual
                    invoice.button_cancel()
                    history.check()
                    assert history.bill(following).amount_residual == before
                day = following
                # The planner has to know what there is: Odoo looks for payments with joins that are
                # slow where it takes tables for empty.
                env.cr.commit()
                env.cr.execute("ANALYZE account_move, account_move_line, account_payment")
                env.cr.execute("ANALYZE account_partial_reconcile")
            history.finish()
