"""Refills by a saved method: real commits, processes at once, and a provider that counts its calls."""

from functools import partial

import pytest
from freezegun import freeze_time
from odoo.exceptions import UserError
from odoo.service.model import retrying
from odoo.tools import mute_logger
from processes import Child
from shop import Shop, charge

pytestmark = pytest.mark.race


class PrepaidShop(Shop):
    """The client pays ahead: its wallet is refilled by 50.00 once no more than 20.00 is left."""

    def __init__(self, database, log):
        super().__init__(database, log)
        with self.env() as env:
            env["reseller.price.rule"].search([]).active = False
            company = env.company

            def account(code, kind):
                return env["account.account"].create(
                    {"code": code, "name": code, "account_type": kind}
                )

            journal = env["account.journal"].create(
                {"name": "Wallets", "code": "WAL", "type": "general"}
            )
            company.write(
                {
                    "reseller_wallet_journal_id": journal.id,
                    "reseller_deposit_account_id": account("299100", "liability_current").id,
                    "reseller_prepaid_account_id": account("299200", "liability_current").id,
                    "reseller_breakage_account_id": account("499100", "income_other").id,
                    "reseller_bonus_account_id": account("699100", "expense").id,
                }
            )
            feature = env["reseller.feature"].create({"name": "Message", "code": "ahead"})
            env["reseller.price.rule"].create({"feature_id": feature.id, "unit_price": 1})
            self.client(env).write(
                {
                    "collection_timing": "never",
                    "refill_by": "card",
                    "refill_amount": 50,
                    "refill_threshold": 20,
                }
            )

    def refill(self, day=None):
        """Do what the scheduled actions do, on a day."""
        with freeze_time(day or "2024-03-01 12:00:00"):
            with self.env() as env, mute_logger("odoo.addons.reseller_billing"):
                env["reseller.client"]._cron_refill()
            self.charge(day or "2024-03-01 12:00:00")

    def see(self):
        """Return (state of refills, money in the wallet, refills by state), and check the books."""
        with self.env() as env:
            assert not env["reseller.wallet.check"].search([("is_different", "=", True)])
            client = self.client(env)
            refills = env["reseller.refill"].search([])
            lots = client.wallet_lot_ids.filtered(lambda lot: lot.state == "open")
            return client.refill_state, sum(lots.mapped("left")), sorted(refills.mapped("state"))


@pytest.fixture
def shop(databases, tmp_path):
    return PrepaidShop(databases.clone(), tmp_path / "calls")


def use(env, worker, number):
    """Take use in, one unit at a time, as systems do that ask first; then refill as the action does."""
    client = env["reseller.client"].search([("ref", "=", "C")])
    for one in range(number):
        event = {"id": f"{worker}-{one}", "source": "t", "feature": "ahead", "quantity": 1}
        retrying(partial(client.consume, event), env)
        env.cr.commit()
    env["reseller.client"]._cron_refill()
    charge(env)


def test_eight_at_once_cross_the_threshold_and_one_charge_follows(shop):
    shop.save_method("done")
    with shop.env() as env:
        shop.client(env)._give_to_wallet(60, "Welcome", "welcome")
    muted = mute_logger("odoo.sql_db", "odoo.service.model", "odoo.addons.reseller_billing")
    with muted:
        children = [Child(shop.database, use, worker, 5) for worker in range(8)]
        for child in children:
            child.result()
    # 40 of 60 are used: 20 are left, and one refill of 50 is made.
    with shop.env() as env:
        assert env["reseller.usage.line"].search_count([]) == 40
        assert shop.client(env).live_balance == 70
    assert shop.calls == ["50.00"]
    assert shop.see() == ("armed", 110, ["paid"])


def test_a_card_that_declines_stops_refills_until_there_is_another(shop):
    shop.save_method("error")
    days = {"01": 1, "02": 1, "04": 2, "05": 2, "07": 3, "10": 3, "20": 3}
    for day, calls in days.items():
        for _time in range(3):
            shop.refill(f"2024-03-{day} 12:00:00")
        assert len(shop.calls) == calls, day
        # Its claim is kept: there is no other refill, however much is used.
        with shop.env() as env:
            event = {"id": day, "source": "t", "feature": "ahead", "quantity": 30}
            with freeze_time(f"2024-03-{day} 12:30:00"):
                shop.client(env).consume(event)
    assert shop.see() == ("paused", 0, ["open"])
    shop.save_method("done")
    shop.refill("2024-03-21 12:00:00")
    assert shop.calls == ["50.00"] * 4
    # What was used in between is made up for at the next turn: 210 and 20 less 50.
    shop.refill("2024-03-21 12:15:00")
    assert shop.calls[4:] == ["200.00"]
    shop.refill("2024-03-21 12:30:00")
    assert len(shop.calls) == 5
    assert shop.see() == ("armed", 250, ["paid", "paid"])


def test_what_is_pending_is_not_in_the_wallet_until_it_settles(shop):
    shop.save_method("pending")
    for day in ("01", "05", "20"):
        shop.refill(f"2024-03-{day} 12:00:00")
    assert shop.calls == ["50.00"]
    assert shop.see() == ("in_flight", 0, ["open"])
    with freeze_time("2024-03-20 13:00:00"):
        shop.notify("pending", "done", "done")
    assert shop.see() == ("armed", 50, ["paid"])
    # A charge-back: from then on it is owed, and not charged again by itself.
    with shop.env() as env:
        env["account.payment"].search([]).action_cancel()
    shop.refill("2024-03-21 12:00:00")
    assert shop.calls == ["50.00"]
    with shop.env() as env, freeze_time("2024-04-21 12:00:00"):
        [debt] = shop.client(env)._load_debts().values()
        assert debt.owed == 50


@pytest.mark.parametrize("behaviour", ["silent", "kill"])
def test_a_refill_without_an_answer_is_credited_once(shop, behaviour):
    shop.save_method(behaviour)
    with freeze_time("2024-03-01 12:00:00"):
        with shop.env() as env:
            env["reseller.client"]._cron_refill()
        shop.charge_in_child(behaviour)
    for _time in range(3):
        shop.refill()
    assert shop.calls == ["50.00"]
    assert shop.see() == ("in_flight", 0, ["open"])
    with freeze_time("2024-03-01 12:00:00"):
        shop.notify("done", "pending", "done")
    shop.refill()
    assert shop.calls == ["50.00"]
    assert shop.see() == ("armed", 50, ["paid"])


def test_open_credits_neither_pay_nor_block_a_refill(shop):
    shop.save_method("done")
    with shop.env() as env:
        payment = env["account.payment"].create(
            {
                "amount": 30,
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": shop.client(env).partner_id.id,
            }
        )
        payment.action_post()
    shop.refill()
    assert shop.calls == ["50.00"]
    assert shop.see() == ("armed", 50, ["paid"])


def sell(shop, env, charge=False):
    """Sell a package of 10.00 by hand."""
    feature = env["reseller.feature"].search([("code", "=", "ahead")])
    product = env["product.product"].create(
        {
            "name": "Ten",
            "type": "service",
            "taxes_id": False,
            "reseller_grants": "units",
            "reseller_feature_id": feature.id,
            "reseller_units": 10,
        }
    )
    item = env["reseller.manual.charge"].create(
        {
            "client_id": shop.client_id,
            "product_id": product.id,
            "name": "Ten",
            "unit_price": 10,
            "date": "2024-03-01",
        }
    )
    (item.action_bill_and_collect if charge else item.action_bill_now)()


def test_offers_are_charged_by_their_button_alone(shop):
    shop.save_method("done")
    with shop.env() as env:
        shop.client(env).refill_amount = 0
        sell(shop, env)
    shop.refill()
    assert shop.calls == []
    with shop.env() as env:
        sell(shop, env, charge=True)
    shop.refill()
    assert shop.calls == ["10.00"]
    with shop.env() as env:
        shop.client(env).write(
            {"refill_by": "invoice", "collection_timing": "posting", "refill_amount": 50}
        )
    shop.refill()
    assert shop.calls == ["10.00"], "a refill by invoice is paid by hand"
    with shop.env() as env:
        assert env["reseller.refill"].search([]).mapped("state") == ["open"]


def test_an_offer_whose_payment_is_under_way_stays(shop):
    shop.save_method("pending")
    shop.refill()
    with shop.env() as env:
        invoice = env["reseller.refill"].search([]).invoice_id
        with pytest.raises(UserError, match="under way"):
            invoice.button_cancel()
        env.cr.rollback()
    with freeze_time("2024-03-02 12:00:00"):
        shop.notify("done")
    assert shop.see() == ("armed", 50, ["paid"])


def test_what_is_due_is_charged_beside_a_refill_under_way(shop):
    shop.save_method("pending")
    with shop.env() as env:
        shop.client(env).collection_timing = "posting"
    shop.refill()
    with shop.env() as env, freeze_time("2024-03-01 12:00:00"):
        item = env["reseller.manual.charge"].create(
            {"client_id": shop.client_id, "name": "Visit", "unit_price": 30, "date": "2024-03-01"}
        )
        item.action_bill_now()
    shop.charge("2024-03-01 13:00:00")
    assert shop.calls == ["50.00", "30.00"]


def test_a_rise_of_a_tax_rate_is_not_charged_above_the_limit(shop):
    with shop.env() as env:
        owed = env["account.account"].create(
            {"code": "259000", "name": "Tax", "account_type": "liability_current"}
        )
        shares = [
            (0, 0, {"repartition_type": "base"}),
            (0, 0, {"repartition_type": "tax", "account_id": owed.id}),
        ]
        lower, higher = env["account.tax"].create(
            [
                {
                    "name": f"{rate} %",
                    "amount": rate,
                    "invoice_repartition_line_ids": shares,
                    "refund_repartition_line_ids": shares,
                }
                for rate in (16, 19)
            ]
        )
        product = env.company.reseller_usage_product_id
        product.write({"taxes_id": lower.ids, "reseller_vat_mode": "receipt"})
        env["reseller.tax.change"].create(
            {"old_tax_id": lower.id, "new_tax_id": higher.id, "date": "2024-03-02"}
        )
        shop.client(env).refill_max_charge = 58
    # Without a method it waits: 50.00 and 16 % are 58.00. The next day they would be 59.50.
    shop.refill("2024-03-01 12:00:00")
    shop.save_method("done")
    for _time in range(2):
        shop.refill("2024-03-02 12:00:00")
        with freeze_time("2024-03-02 12:30:00"), shop.env() as env:
            env["account.move"]._cron_follow_rates()
    assert shop.calls == []
    with shop.env() as env:
        assert env["reseller.refill"].search([]).amount == 59.5
        [told] = shop.client(env).activity_ids
        assert (told.summary, "59.50" in told.note) == ("A refill is held back", True)
        shop.client(env).refill_max_charge = 59.5
    shop.refill("2024-03-02 13:00:00")
    assert shop.calls == ["59.50"]
    # Taxed when it was paid in, it pays use with its taxes.
    assert shop.see() == ("armed", 59.5, ["paid"])
