"""Random histories of wallets, packages and refills: lots and books agree after every step."""

from datetime import date, timedelta

import processes
import pytest
from dateutil.relativedelta import relativedelta
from freezegun import freeze_time
from prepaid_history import PACKAGES, History

HISTORIES = 12
MONTHS = 8


def set_up(env):
    """Make the accounts, a reseller whose clients' use costs 1.00 a unit, and its feature."""

    def account(code, kind):
        return env["account.account"].create({"code": code, "name": code, "account_type": kind}).id

    env.company.write(
        {
            "reseller_late_days": 100000,
            "reseller_revalues_deposits": True,
            "reseller_wallet_journal_id": env["account.journal"]
            .create({"name": "Wallets", "code": "WAL", "type": "general"})
            .id,
            "reseller_deposit_account_id": account("299100", "liability_current"),
            "reseller_prepaid_account_id": account("299200", "liability_current"),
            "reseller_breakage_account_id": account("499100", "income_other"),
            "reseller_bonus_account_id": account("699100", "expense"),
            "reseller_accrued_account_id": account("149000", "asset_current"),
            "reseller_deferred_account_id": account("249000", "liability_current"),
        }
    )
    euro = env.ref("base.EUR")
    euro.active = True
    env["res.currency.rate"].create(
        [
            {
                "currency_id": euro.id,
                "name": date(2024, month, 1),
                "rate": rate,
                "company_id": env.company.id,
            }
            for month, rate in enumerate((0.9, 0.93, 0.87, 0.91, 0.99, 0.83, 0.95), 1)
        ]
    )
    feature = env["reseller.feature"].create({"name": "U", "code": "unit", "quantity_digits": 0})
    fee = env["reseller.feature"].create({"name": "F", "code": "fee"})
    for currency in (env.company.currency_id, euro):
        owner = env["res.partner"].create({"name": currency.name})
        env["reseller.reseller"].create(
            {"partner_id": owner.id, "code": currency.name, "currency_id": currency.id}
        )
        env["reseller.price.rule"].create(
            {"feature_id": feature.id, "unit_price": 1, "currency_id": currency.id}
        )
        env["reseller.price.rule"].create(
            {
                "feature_id": fee.id,
                "recurring_fee": 4.44,
                "fee_timing": "arrears",
                "currency_id": currency.id,
            }
        )
    env["account.cash.rounding"].create(
        {
            "name": "To 0.05",
            "rounding": 0.05,
            "strategy": "add_invoice_line",
            "profit_account_id": account("499500", "income_other"),
            "loss_account_id": account("699500", "expense"),
            "rounding_method": "HALF-UP",
        }
    )
    # Rounded by line, it makes another total than rounded at once.
    owed = account("259000", "liability_current")
    shares = [
        (0, 0, {"repartition_type": "base"}),
        (0, 0, {"repartition_type": "tax", "account_id": owed}),
    ]
    env.company.reseller_usage_product_id.taxes_id = env["account.tax"].create(
        {
            "name": "7.7 %",
            "amount": 7.7,
            "invoice_repartition_line_ids": shares,
            "refund_repartition_line_ids": shares,
        }
    )
    for name, units, price, months, mode in PACKAGES:
        env["product.product"].create(
            {
                "name": name,
                "type": "service",
                "taxes_id": False,
                "list_price": price,
                "reseller_grants": "units",
                "reseller_feature_id": feature.id,
                "reseller_units": units,
                "reseller_valid_count": months,
                "reseller_vat_mode": mode,
            }
        )


@pytest.mark.laws
def test_lots_and_books_agree_after_every_step_of_any_history(databases):
    database = databases.clone()
    with processes.environment(database) as env:
        set_up(env)
    with processes.environment(database) as env:
        for number in range(HISTORIES):
            history = History(env, number)
            day = date(2024, 1, 1)
            history.bill(day)
            for _month in range(MONTHS):
                with freeze_time(f"{day} 12:00:00"):
                    for _step in range(history.chance.randrange(1, 4)):
                        history.act(day)
                    if history.chance.random() < 0.2:
                        history.charge_by_hand(day)
                history.use(day)
                if history.chance.random() < 0.3:
                    history.correct(day)
                following = day + relativedelta(months=1)
                history.bill_and_compare(following)
                if history.chance.random() < 0.3:
                    history.void_and_bill(following)
                if history.chance.random() < 0.3:
                    history.void_earlier(following)
                if history.chance.random() < 0.3:
                    with freeze_time(f"{following} 13:00:00"):
                        history.replace()
                history.end_month(following - timedelta(days=1))
                day = following
                # The planner has to know what there is: Odoo looks for payments with joins that are
                # slow where it takes tables for empty.
                env.cr.commit()
                env.cr.execute("ANALYZE account_move, account_move_line, account_payment")
                env.cr.execute("ANALYZE account_partial_reconcile")
            history.finish()
