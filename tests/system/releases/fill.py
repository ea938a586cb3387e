"""Data of every kind, made in Odoo's shell with the addon as it was released (see test_upgrade.py).

Kept as it is: what a release has made, later ones must find.
"""

from freezegun import freeze_time

env = env  # noqa: F821


def account(code, kind):
    return env["account.account"].create({"code": code, "name": code, "account_type": kind})


def at(day):
    return freeze_time(f"{day} 12:00:00")


def bill(day):
    run = env["reseller.billing.run"].create({"date": day})
    run.action_start()
    while run._process_batch():
        pass
    assert not run.parked_line_ids, run.parked_line_ids.mapped("reason")


def use(client, feature, day, quantity, **values):
    outcome = env["reseller.usage.line"].ingest(
        [
            {
                "id": f"{client}/{feature}/{day}/{quantity}",
                "source": "fill",
                "client": client,
                "feature": feature,
                "time": f"{day}T12:00:00Z",
                "quantity": quantity,
                **values,
            }
        ]
    )
    assert outcome["accepted"] == 1, outcome


company = env.company
env["account.chart.template"].try_loading("generic_coa", company, install_demo=False)
company.write(
    {
        "reseller_late_days": 100000,
        "reseller_wallet_journal_id": env["account.journal"]
        .create({"name": "Wallets", "code": "WAL", "type": "general"})
        .id,
        "reseller_deposit_account_id": account("299100", "liability_current").id,
        "reseller_prepaid_account_id": account("299200", "liability_current").id,
        "reseller_breakage_account_id": account("499100", "income_other").id,
        "reseller_bonus_account_id": account("699100", "expense").id,
        "reseller_accrued_account_id": account("149000", "asset_current").id,
        "reseller_deferred_account_id": account("249000", "liability_current").id,
    }
)
company.account_sale_tax_id = False
company.reseller_usage_product_id.taxes_id = False

policy = env["reseller.lockout.policy"].create(
    {
        "name": "Ladder",
        "stage_ids": [(0, 0, {"state": "locked", "days_overdue": 5})],
    }
)
reseller = env["reseller.reseller"].create(
    {
        "partner_id": env["res.partner"].create({"name": "Reseller"}).id,
        "code": "R",
        "lockout_policy_id": policy.id,
    }
)
group = env["reseller.client.group"].create({"name": "Gold", "reseller_id": reseller.id})
# Another one bills its clients itself.
itself = env["reseller.reseller"].create(
    {
        "partner_id": env["res.partner"].create({"name": "Bills Itself"}).id,
        "code": "I",
        "invoice_to": "none",
    }
)
clients = {}
for ref in ("payer", "owing", "closed", "trial", "paper"):
    clients[ref] = env["reseller.client"].create(
        {
            "partner_id": env["res.partner"]
            .create({"name": ref, "email": f"{ref}@example.com"})
            .id,
            "reseller_id": (itself if ref == "paper" else reseller).id,
            "ref": ref,
            "membership_ids": [
                (0, 0, {"date_from": "2024-01-01", "group_id": ref == "payer" and group.id})
            ],
        }
    )
    with at("2024-01-01"):
        clients[ref].action_activate()

features = {
    code: env["reseller.feature"].create({"name": code, "code": f"x_{code}", **values})
    for code, values in {
        "sms": {"quantity_digits": 0},
        "seats": {"aggregation": "max"},
        "calls": {"quantity_digits": 0},
    }.items()
}
level = env["reseller.feature.level"].create(
    {"feature_id": features["calls"].id, "code": "abroad", "name": "Abroad"}
)
rules = env["reseller.price.rule"]
rules.create(
    {
        "feature_id": features["sms"].id,
        "unit_price": 0.05,
        "recurring_fee": 31,
        "included_quantity": 100,
        "rollover_cycles": 1,
        "minimum_amount": 2,
    }
)
rules.create(
    {
        "feature_id": features["sms"].id,
        "group_id": group.id,
        "unit_price": 0.04,
        "recurring_fee": 20,
    }
)
rules.create(
    {
        "feature_id": features["seats"].id,
        "unit_price": 3,
        "setup_fee": 10,
        "trial_days": 10,
        "client_id": clients["trial"].id,
    }
)
rules.create(
    {
        "feature_id": features["calls"].id,
        "pricing_model": "graduated",
        "tier_ids": [
            (0, 0, {"sequence": 1, "up_to": 10, "unit_price": 1}),
            (0, 0, {"sequence": 2, "is_last": True, "unit_price": 0.5}),
        ],
        "level_price_ids": [(0, 0, {"level_id": level.id, "unit_price": 2})],
    }
)
package = env["product.product"].create(
    {
        "name": "50 SMS",
        "type": "service",
        "taxes_id": False,
        "list_price": 2,
        "reseller_grants": "units",
        "reseller_feature_id": features["sms"].id,
        "reseller_units": 50,
        "reseller_release": "invoiced",
        # Of no effect on units, in the first release.
        "reseller_vat_mode": "use",
    }
)

env["contract.line"].create(
    {
        "contract_id": clients["owing"].contract_id.id,
        "product_id": company.reseller_usage_product_id.id,
        "name": "Support",
        "quantity": 1,
        "price_unit": 8,
        "specific_price": 8,
        "date_start": "2024-01-01",
        "recurring_next_date": "2024-01-01",
        "recurring_rule_type": "monthly",
        "recurring_interval": 1,
    }
)

with at("2024-01-02"):
    bill("2024-01-02")
    payment = env["account.payment"].create(
        {
            "amount": 400,
            "payment_type": "inbound",
            "partner_type": "customer",
            "partner_id": clients["payer"].partner_id.id,
            "journal_id": env["account.journal"].search([("type", "=", "bank")], limit=1).id,
        }
    )
    payment.action_post()
    env["reseller.wallet.request"].create(
        {
            "client_id": clients["payer"].id,
            "kind": "payment",
            "reason": "Paid in",
            "payment_line_id": payment.move_id.line_ids._get_open_receivables().id,
            "amount": 40,
        }
    ).action_do()
    env["reseller.manual.charge"].create(
        {
            "client_id": clients["payer"].id,
            "product_id": package.id,
            "name": "50 SMS",
            "unit_price": 2,
            "date": "2024-01-02",
        }
    ).action_bill_now()
    env["reseller.manual.charge"].create(
        {"client_id": clients["owing"].id, "name": "Visit", "unit_price": 15, "date": "2024-01-20"}
    )
    # An offer that nobody has paid.
    offered = package.copy({"name": "50 SMS, later", "reseller_release": "paid"})
    env["reseller.manual.charge"].create(
        {
            "client_id": clients["trial"].id,
            "product_id": offered.id,
            "name": "50 SMS, later",
            "unit_price": 2,
            "date": "2024-01-02",
        }
    ).action_bill_now()
    clients["payer"].write({"refill_by": "invoice", "refill_amount": 30, "refill_threshold": 1})

for month in (1, 2):
    for ref in clients:
        use(ref, "x_sms", f"2024-{month:02}-10", 130 + month)
        use(ref, "x_calls", f"2024-{month:02}-11", 14)
    use("owing", "x_calls", f"2024-{month:02}-12", 3, level="abroad")
    use("trial", "x_seats", f"2024-{month:02}-13", 2)
    with at(f"2024-{month + 1:02}-02"):
        bill(f"2024-{month + 1:02}-02")
with at("2024-03-03"):
    clients["closed"].action_close("2024-03-10")
    # Late, and of the days to come.
    use("owing", "x_sms", "2024-02-20", 7)
    use("payer", "x_sms", "2024-03-02", 12)
with at("2024-03-04"):
    env["reseller.month.end"].create({"date": "2024-02-29"}).action_post()
with at("2024-03-06"):
    statement = (
        clients["trial"]
        .statement_ids.filtered(lambda one: one.kind == "cycle" and one.state == "invoiced")
        .sorted("bill_date")[-1]
    )
    statement._void_by_credit_note(statement.invoice_id.date)
    bill("2024-03-06")
with at("2024-03-20"):
    env["reseller.lockout"]._cron_evaluate()
env["reseller.usage.line"].ingest([{"id": "1", "source": "fill", "client": "nobody"}])
env["reseller.usage.mapping"].create({"name": "Ours"})
# What people choose about charges, and where they have written fields' names.
owing_sudo = clients["owing"].sudo()  # declines are billing's to count
owing_sudo.write({"charge_timing": "due", "charge_failures": 2})
env.company.reseller_charge_retry_days = 5
env["ir.default"].set("reseller.client", "charge_timing", "posting")
env["ir.filters"].create(
    {
        "name": "Own prices",
        "model_id": "reseller.price.rule",
        "domain": '[("level", "=", "client")]',
        "context": "{'group_by': ['level']}",
        "sort": '["level desc"]',
    }
)
# A run that waits for approval, and use that came in since.
with at("2024-04-02"):
    run = env["reseller.billing.run"].create({"date": "2024-04-02", "is_reviewed": True})
    run.action_start()
    while run._process_batch():
        pass
    assert run.state == "prepared", run.parked_line_ids.mapped("reason")
    use("owing", "x_sms", "2024-03-21", 4000)
env.cr.commit()
