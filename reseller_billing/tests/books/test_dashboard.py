from dateutil.relativedelta import relativedelta
from freezegun import freeze_time
from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import Form, new_test_user

from ..common import ResellerBillingCommon


class TestDashboard(ResellerBillingCommon):
    """The first page of the app counts what waits, and opens it."""

    def _tiles(self, user=None):
        data = self.env["reseller.dashboard"].with_user(user or self.env.user).get_data()
        return {tile["key"]: tile for tile in data["tiles"]}, data

    def test_what_waits_and_what_the_months_brought(self):
        self.company.reseller_billing_delay = 0  # what is due on the first is billed on it
        month = fields.Date.today().replace(day=1)
        before = month - relativedelta(months=1)
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].create(
            {
                "currency_id": euro.id,
                "name": "2020-01-01",
                "rate": 0.5,
                "company_id": self.company.id,
            }
        )
        abroad = self._create_reseller("E", currency_id=euro.id)
        self._create_rule(recurring_fee=10)
        self._create_rule(recurring_fee=7, currency_id=euro.id)
        self.client_a.membership_ids.date_from = before
        self._create_client("E1", start=before, reseller_id=abroad.id)
        broken = self._create_client("X", start=before)
        broken.partner_id.property_account_receivable_id = False
        tiles, data = self._tiles()
        self.assertEqual((tiles["due"]["count"], data["revenue"]), (3, []))
        self._run(month)
        # Unpriced, rejected, and near its allotment.
        other = self._create_feature("other")
        self._use(before, 3, "other")
        self.env["reseller.usage.line"].ingest([self._event(before, 1, client="nobody")])
        self._create_rule(other, included_quantity=10, unit_price=1, date_from=month)
        self._use(fields.Date.today(), 9, "other")
        self.env["reseller.usage.alert"].sudo()._cron_check()  # as the scheduled action
        # There is no mail address.
        bills = self.client_a.statement_ids
        bills.action_send()
        bills.sudo()._send_mails()  # as the scheduled action
        # The runs were of this month's first day: by the end of the next it is overdue by far.
        self.reseller.lockout_policy_id = self.env.ref("reseller_billing.lockout_policy_client")
        with freeze_time(month + relativedelta(months=2)):
            self.env["reseller.lockout"].sudo()._evaluate(self.client_a)  # as the scheduled action
        self.client_a.collection_timing = "due"
        self.client_a.sudo().collection_failures = 3  # billing keeps it
        # Bills of the first of last month and this, due at once.
        overdue = (
            self.env["reseller.statement"]
            .search([])
            .invoice_id.filtered(lambda invoice: invoice.invoice_date_due < fields.Date.today())
        )
        tiles, data = self._tiles()
        self.assertEqual(
            {key: tile["count"] for key, tile in tiles.items()},
            {
                "due": 1,
                "prepared": 0,
                "parked": 1,
                "untaxed": 0,
                "unpriced": 1,
                "unpriced_wholesale": 0,
                "unreachable": 0,
                "rejected": 1,
                "near": 1,
                "failed": len(bills),
                "overdue": len(overdue),
                "locked": 1,
                "paused": 1,
            },
        )
        for tile in tiles.values():
            dashboard = self.env["reseller.dashboard"]
            action = tile.get("action") or dashboard.get_action(tile["key"])
            found = self.env[action["res_model"]].search(action["domain"])
            self.assertEqual(len(found), tile["count"], tile["key"])
        # What was unpriced is offered with the day from which it is.
        [unpriced] = data["unpriced"]
        self.assertEqual(unpriced["name"], other.name)
        price = Form(self.env["reseller.price.rule"].with_context(**unpriced["action"]["context"]))
        self.assertEqual((price.feature_id, price.date_from), (other, before))
        # Two fees of 10.00, and two of 7.00 EUR at half a euro to the dollar, all invoiced this month.
        self.assertEqual(
            data["revenue"],
            [
                {
                    "currency": self.company.currency_id.name,
                    "last_month": "$\N{NO-BREAK SPACE}0.00",
                    "this_month": "$\N{NO-BREAK SPACE}48.00",
                }
            ],
        )
        self.assertEqual(len(data["chart"]["labels"]), 12)
        self.assertEqual(
            {one["label"]: one["data"][-2:] for one in data["chart"]["datasets"]},
            {self.company.currency_id.name: [0, 48]},
        )
        # What was parked and is billed meanwhile waits no longer, in whatever run it was parked.
        broken.partner_id.property_account_receivable_id = self.client_a.partner_id.with_company(
            self.company
        ).property_account_receivable_id
        self._run(month)
        self.assertEqual(self._tiles()[0]["parked"]["count"], 0)

    def test_only_those_who_bill_see_it_and_their_companies_alone(self):
        self._create_rule(recurring_fee=10)
        self._run("2024-01-01")
        employee = new_test_user(self.env, "nosy", "base.group_user")
        with self.assertRaises(AccessError):
            self._tiles(employee)
        other = self.env["res.company"].create({"name": "Elsewhere"})
        user = new_test_user(
            self.env,
            "elsewhere",
            "reseller_billing.group_billing_user",
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )
        tiles, data = self._tiles(user)
        self.assertFalse(any(tile["count"] for tile in tiles.values()))
        self.assertFalse(data["revenue"])
