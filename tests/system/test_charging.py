"""Charges of saved payment methods: real commits, kills, and a provider that counts its calls."""

from functools import partial

import pytest
from freezegun import freeze_time
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.service.model import retrying
from odoo.tools import mute_logger
from processes import Child
from shop import Shop, charge

pytestmark = pytest.mark.race


@pytest.fixture
def shop(databases, tmp_path):
    return Shop(databases.clone(), tmp_path / "calls")


@pytest.mark.parametrize("behaviour", ["done", "twice"])
def test_what_is_billed_is_charged_once(shop, behaviour):
    shop.save_method(behaviour)
    shop.bill()
    assert shop.look() == ("armed", 0, 200, [])
    for _time in range(2):
        shop.charge()
        assert shop.calls == ["100.00", "100.00"]
        assert shop.look() == ("armed", 0, 0, [100, 100])
    shop.notify("done", "pending", "error", "done")
    assert shop.look() == ("armed", 0, 0, [100, 100])


def test_on_their_due_date_means_not_before(shop):
    shop.save_method("done")
    with shop.env() as env:
        client = shop.client(env)
        client.collection_timing = "due"
        client.contract_id.payment_term_id = env.ref("account.account_payment_term_15days")
    shop.bill("2024-01-03")
    shop.charge("2024-01-17 12:00:00")
    assert shop.calls == []
    shop.charge("2024-01-18 12:00:00")
    assert shop.calls == ["100.00"]


def test_a_method_that_declines_is_tried_three_times_and_then_paused(shop):
    shop.save_method("error")
    shop.bill("2024-01-03")
    days = {"2024-02-01": 1, "2024-02-02": 1, "2024-02-03": 1, "2024-02-04": 2, "2024-02-05": 2}
    days |= {"2024-02-07": 3, "2024-02-10": 3, "2024-03-01": 3}
    for day, calls in days.items():
        for _time in range(3):
            shop.charge(f"{day} 12:00:00")
        assert len(shop.calls) == calls, day
    assert shop.look() == ("paused", 3, 100, [])
    with shop.env() as env:
        client = shop.client(env)
        assert "paused after 3 declines" in client.activity_ids.summary
        mails = env["mail.mail"].search([("model", "=", "payment.transaction")])
        assert len(mails) == 3
        assert all("/my/invoices/" in mail.body_html for mail in mails)
        assert sum("try again" in mail.body_html for mail in mails) == 2
    # Whatever else happens does not begin it again: more bills, more use, the same method.
    shop.bill("2024-02-03")
    shop.charge("2024-03-02 12:00:00")
    assert len(shop.calls) == 3
    # Another method does.
    shop.save_method("done")
    shop.charge("2024-03-03 12:00:00")
    assert len(shop.calls) == 5
    assert shop.look() == ("armed", 0, 0, [100, 100])


def test_open_credits_are_not_charged(shop):
    shop.save_method("done")
    shop.bill("2024-01-03")
    with shop.env() as env:
        invoice = shop.client(env)._get_owed_invoices()
        credit = invoice.copy({"move_type": "out_refund", "invoice_date": "2024-01-05"})
        credit.invoice_line_ids.price_unit = 30
        credit.action_post()
    shop.charge()
    shop.charge()
    assert shop.calls == ["70.00"]
    assert shop.look() == ("armed", 0, 0, [70])


def test_a_provider_that_is_switched_off_holds_up_nobody(shop):
    shop.save_method("done")
    shop.bill("2024-01-03")
    with shop.env() as env:
        provider = env["payment.provider"].browse(shop.provider_id)
        shop.client(env)._claim_collection(shop.client(env)._get_owed_invoices())
        provider.with_context(active_test=False).write({"state": "disabled"})
    shop.charge()
    shop.charge()
    assert shop.calls == []
    assert shop.look() == ("no_method", 0, 100, [])


def test_paying_by_hand_resumes_too(shop):
    shop.save_method("error")
    shop.bill("2024-01-03")
    for day in ("01", "04", "07"):
        shop.charge(f"2024-02-{day} 12:00:00")
    assert shop.look()[0] == "paused"
    with shop.env() as env:
        invoice = shop.client(env)._get_owed_invoices()
        env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        ).create({})._create_payments()
    assert shop.look() == ("armed", 0, 0, [100])


def test_what_is_pending_is_neither_failed_nor_paid_until_it_settles(shop):
    shop.save_method("pending")
    shop.bill("2024-01-03")
    for day in ("01", "05", "20"):
        shop.charge(f"2024-02-{day} 12:00:00")
    assert shop.calls == ["100.00"]
    assert shop.look() == ("in_flight", 0, 100, [])
    shop.notify("pending", "done")
    assert shop.look() == ("armed", 0, 0, [100])
    # A charge-back: the accountant takes the payment back, and the invoice is owed again. It is
    # not charged again by itself.
    with shop.env() as env:
        env["account.payment"].search([]).action_cancel()
    shop.charge()
    assert shop.calls == ["100.00"]
    assert shop.look()[2] == 100


def test_a_pending_payment_that_fails_is_a_decline(shop):
    shop.save_method("pending")
    shop.bill("2024-01-03")
    shop.charge("2024-02-01 12:00:00")
    shop.notify("error", "error")
    assert shop.look()[1:] == (1, 100, [])


@pytest.mark.parametrize("behaviour", ["silent", "timeout", "broken", "kill"])
def test_a_charge_without_an_answer_is_never_sent_again(shop, behaviour):
    shop.save_method(behaviour)
    shop.bill("2024-01-03")
    shop.charge_in_child(behaviour)
    for _time in range(3):
        shop.charge()
    assert shop.calls == ["100.00"]
    assert shop.look() == ("in_flight", 0, 100, [])
    later = "2100-01-01 12:00:00"
    for _time in range(2):
        shop.charge(later)
    with freeze_time(later):
        assert shop.look()[0] == "unclear"
    with shop.env() as env:
        [activity] = shop.client(env).activity_ids
        assert "no answer" in activity.summary
    # Its notification comes, twice and out of order.
    shop.notify("done", "pending", "done")
    shop.charge()
    assert shop.calls == ["100.00"]
    assert shop.look() == ("armed", 0, 0, [100])


def test_a_person_gives_up_what_was_not_charged(shop):
    shop.save_method("silent")
    shop.bill("2024-01-03")
    shop.charge("2024-02-01 12:00:00")
    with freeze_time("2024-02-01 14:00:00"), shop.env() as env:
        shop.client(env).action_give_up_collection()
    with freeze_time("2024-02-01 14:00:00"):
        assert shop.look() == ("armed", 0, 100, []), "no fault of the method"
    shop.charge("2024-02-01 15:00:00")
    assert shop.calls == ["100.00", "100.00"]


def test_a_payment_page_and_the_saved_method_do_not_both_pay(shop):
    shop.save_method("pending")
    shop.bill("2024-01-03")

    def pay_online(env):
        """Begin what the portal begins when somebody presses Pay."""
        invoice = shop.client(env)._get_owed_invoices()
        provider = env["payment.provider"].browse(shop.provider_id)
        return env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": provider.payment_method_ids.id,
                "reference": f"online {invoice.transaction_count}",
                "amount": invoice.amount_residual,
                "currency_id": invoice.currency_id.id,
                "partner_id": invoice.partner_id.id,
                "operation": "online_direct",
                "invoice_ids": [(6, 0, invoice.ids)],
            }
        )

    with shop.env() as env:
        online_id = pay_online(env).id
    shop.charge()
    assert shop.calls == [], "somebody is paying at this moment"
    with shop.env() as env:
        env["payment.transaction"].browse(online_id)._set_canceled()
    shop.charge()
    assert shop.calls == ["100.00"]
    with shop.env() as env, pytest.raises(ValidationError, match="under way"):
        pay_online(env)


def test_money_that_comes_twice_all_the_same_is_told(shop):
    shop.save_method("done")
    shop.bill("2024-01-03")
    with shop.env() as env:
        invoice = shop.client(env)._get_owed_invoices()
        provider = env["payment.provider"].browse(shop.provider_id)
        online = env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": provider.payment_method_ids.id,
                "reference": "online",
                "amount": 100,
                "currency_id": invoice.currency_id.id,
                "partner_id": invoice.partner_id.id,
                "operation": "online_redirect",
                "invoice_ids": [(6, 0, invoice.ids)],
            }
        )
        online_id = online.id
        # The provider's page has stood open for more than a day.
        env.cr.execute(
            "UPDATE payment_transaction SET create_date = create_date - interval '25 hours'"
        )
    shop.charge()
    assert shop.look() == ("armed", 0, 0, [100])
    with shop.env() as env:
        env["payment.transaction"].browse(online_id)._set_done()
        env["payment.transaction"].browse(online_id)._post_process()
    assert shop.look() == ("armed", 0, -100, [100, 100])
    with shop.env() as env:
        assert "paid twice" in shop.client(env).activity_ids.summary


def charge_now(env, client_id):
    """Press the button, as somebody does at the same time as others; return whether it was taken."""
    client = env["reseller.client"].browse(client_id)
    try:
        retrying(partial(press, client), env)
    except (UserError, ValidationError):
        return False
    return True


def press(client):
    client.action_collect_now()
    return True


def test_eight_at_once_charge_one_invoice_once(shop):
    shop.save_method("done")
    with shop.env() as env:
        shop.client(env).collection_timing = "never"
    shop.bill("2024-01-03")
    with mute_logger("odoo.sql_db", "odoo.service.model"):
        children = [Child(shop.database, charge_now, shop.client_id) for _one in range(8)]
        assert sum(child.result() for child in children) == 1
        children = [Child(shop.database, charge) for _one in range(4)]
        for child in children:
            child.wait()
    shop.charge()
    assert shop.calls == ["100.00"]
    assert shop.look() == ("off", 0, 0, [100])


def test_one_item_is_billed_and_charged_at_once(shop):
    shop.save_method("done")
    with shop.env() as env:
        client = shop.client(env)
        client.collection_timing = "never"
        item = env["reseller.manual.charge"].create(
            {"client_id": client.id, "name": "Lead 17", "unit_price": 12.5, "date": "2024-01-05"}
        )
        item.action_bill_and_collect()
    shop.charge()
    assert shop.calls == ["12.50"]
    assert shop.look() == ("off", 0, 0, [12.5])


def test_a_credit_by_hand_charges_nobody(shop):
    shop.save_method("done")
    shop.bill("2024-01-03")
    with shop.env() as env:
        client = shop.client(env)
        client.collection_timing = "never"
        item = env["reseller.manual.charge"].create(
            {
                "client_id": client.id,
                "kind": "credit",
                "name": "Sorry",
                "unit_price": 50,
                "date": "2024-01-05",
            }
        )
        item.action_bill_and_collect()
    shop.charge()
    assert shop.calls == []


def test_a_method_pays_only_for_its_owner(shop):
    shop.save_method("done")
    with shop.env() as env:
        shop.client(env).reseller_id.invoice_to = "reseller"
    shop.bill("2024-01-03")
    shop.charge()
    assert shop.calls == []


def test_paying_a_part_does_not_resume(shop):
    shop.save_method("error")
    shop.bill("2024-01-03")
    for day in ("01", "04", "07"):
        shop.charge(f"2024-02-{day} 12:00:00")
    with shop.env() as env:
        invoice = shop.client(env)._get_owed_invoices()
        env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        ).create({"amount": 1})._create_payments()
    shop.charge()
    # Nor does the same method, taken off and on again.
    with shop.env() as env:
        client = shop.client(env)
        token = client.payment_token_id
        client.payment_token_id = False
        client.payment_token_id = token
    shop.charge()
    assert len(shop.calls) == 3


def test_each_instalment_is_charged_when_it_is_due(shop):
    shop.save_method("done")
    with shop.env() as env:
        client = shop.client(env)
        client.collection_timing = "due"
        client.contract_id.payment_term_id = env["account.payment.term"].create(
            {
                "name": "In two",
                "line_ids": [
                    (0, 0, {"value": "percent", "value_amount": 30, "nb_days": 0}),
                    (0, 0, {"value": "percent", "value_amount": 70, "nb_days": 30}),
                ],
            }
        )
    shop.bill("2024-01-03")
    shop.charge("2024-01-02 12:00:00")
    assert shop.calls == []
    shop.charge("2024-01-03 12:00:00")
    shop.charge("2024-02-01 12:00:00")
    assert shop.calls == ["30.00"]
    shop.charge("2024-02-02 12:00:00")
    assert shop.calls == ["30.00", "70.00"]
    assert shop.look() == ("armed", 0, 0, [30, 70])


@pytest.mark.parametrize(
    ("timing", "days", "paid"),
    [
        ("posting", ["2024-01-01"], [98]),
        # Due on the last day of the discount: what Odoo says is due that day.
        ("due", ["2024-01-10", "2024-01-11"], [98]),
        ("due", ["2024-01-12"], [100]),
    ],
)
def test_what_is_charged_within_an_early_payment_discount_is_less(shop, timing, days, paid):
    shop.save_method("done")
    with shop.env() as env:
        client = shop.client(env)
        client.collection_timing = timing
        client.contract_id.payment_term_id = env["account.payment.term"].create(
            {
                "name": "2 % within ten days",
                "early_discount": True,
                "discount_percentage": 2,
                "discount_days": 10,
                "line_ids": [
                    (0, 0, {"value": "percent", "value_amount": 100, "nb_days": 10}),
                ],
            }
        )
    shop.bill("2024-01-01")
    for day in days:
        shop.charge(f"{day} 12:00:00")
    assert shop.look() == ("armed", 0, 0, paid)


def test_only_billing_managers_charge_and_nobody_mends_what_was_sent(shop):
    shop.save_method("silent")
    shop.bill("2024-01-03")
    shop.charge()
    with shop.env() as env:

        def user(login, groups):
            return env["res.users"].create(
                {
                    "name": login,
                    "login": login,
                    "group_ids": [(6, 0, [env.ref(group).id for group in groups])],
                }
            )

        clerk = user("clerk", ["reseller_billing.group_billing_user"])
        accountant = user("accountant", ["account.group_account_invoice"])
        client = shop.client(env).with_user(clerk)
        for action in (
            "action_collect_now",
            "action_resume_collection",
            "action_give_up_collection",
        ):
            with pytest.raises(AccessError):
                getattr(client, action)()
        for vals in ({"collection_timing": "due"}, {"payment_token_id": False}):
            with pytest.raises(AccessError):
                client.write(vals)
        sent = client.sudo().transaction_ids.with_user(accountant)
        for vals in ({"reseller_sent_at": False}, {"state": "error"}):
            with pytest.raises(UserError):
                sent.write(vals)
        # A charge that is being sent is not given up.
        client.sudo().action_give_up_collection()  # as whoever may bill
        assert sent.state == "draft"
        env.cr.rollback()


def test_another_payers_method_is_refused(shop):
    with shop.env() as env:
        provider = env["payment.provider"].browse(shop.provider_id)
        token = env["payment.token"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": provider.payment_method_ids.id,
                "partner_id": env["res.partner"].create({"name": "Stranger"}).id,
                "provider_ref": "x",
                "payment_details": "1",
            }
        )
        with pytest.raises(ValidationError, match="not a payment method of Client"):
            shop.client(env).payment_token_id = token
            env.flush_all()
        env.cr.rollback()
