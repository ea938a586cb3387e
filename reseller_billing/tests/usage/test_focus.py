import base64
import csv
import os
import pathlib
import unittest
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

from ..common import ResellerBillingCommon

SAMPLE = pathlib.Path(
    os.environ.get(
        "RB_FOCUS_SAMPLE",
        pathlib.Path(__file__).resolve().parents[4] / "shared/data/focus/focus_sample.csv",
    )
)
SMALL = """\
"BillingAccountId","BillingAccountName","BillingCurrency","BillingPeriodStart","ChargePeriodStart",\
"ConsumedQuantity","ListUnitPrice","SkuId","SkuPriceId","SubAccountId","SubAccountName","ChargeDescription"
"B1","Payer","USD","2024-09-01 00:00:00","2024-09-03 22:00:00",2.000000000000000,"0.0000004","S1","S1.a","C1","One","Requests"
"B1","Payer","USD","2024-09-01 00:00:00","2024-09-03 22:00:00",2.000000000000000,"0.0000004","S1","S1.a","C1","One","Requests"
"B1","Payer","USD","2024-09-01 00:00:00","2024-09-04 22:00:00",10,"0.09","S2","S2.a","C1","One","Traffic"
"B1","Payer","USD","2024-09-01 00:00:00","2024-09-04 23:00:00",10,"0.085","S2","S2.b","C1","One","Traffic"
"B1","Payer","USD","2024-09-01 00:00:00","2024-09-04 23:00:00",NULL,"0.085","S2","S2.b",NULL,NULL,"Traffic"
"""


class TestFocus(ResellerBillingCommon):
    def _import(self, content, **values):
        wizard = self.env["reseller.usage.import"].create(
            {"file": base64.b64encode(content), "filename": "focus.csv", **values}
        )
        wizard.action_import()
        return wizard.accepted, wizard.duplicates, wizard.rejected

    def test_unknown_accounts_are_rejected_row_by_row_unless_asked_for(self):
        self.assertEqual(self._import(SMALL.encode()), (0, 0, 5))
        created = {"create_missing": True, "create_prices": True}
        # Two equal rows are two events; the row without a quantity is rejected.
        self.assertEqual(self._import(SMALL.encode(), **created), (4, 0, 1))
        self.assertEqual(self._import(SMALL.encode(), **created), (0, 4, 1))
        client = self.env["reseller.client"].search([("ref", "=", "C1")])
        self.assertEqual((client.name, client.reseller_id.code), ("One", "B1"))
        self._run("2024-10-01")
        charges = self._statement(client, "2024-10-01").charge_ids
        self.assertEqual(
            {
                (charge.feature_id.code, charge.level_id.code): str(values[2])
                for charge in charges
                for values in [charge._get_exact()[charge.id]]
            },
            {("S1", False): "0.00", ("S2", "S2.a"): "0.90", ("S2", "S2.b"): "0.85"},
        )

    def test_a_list_price_of_another_unit_makes_no_price(self):
        # 40,000 calls at 0.10 for 10,000; 1 GiB at 0.12, counted in bytes; and one as it should be.
        content = """\
BillingAccountId,SubAccountId,SkuId,ChargePeriodStart,ConsumedQuantity,ConsumedUnit,ListUnitPrice,PricingUnit,ListCost
B1,C1,calls,2024-09-03 22:00:00,40000,Requests,0.10,10K Requests,0.40
B1,C1,bytes,2024-09-03 22:00:00,1073741824,Bytes,0.12,GiB,0.12
B1,C1,tiered,2024-09-03 22:00:00,100,Hours,0.50,Hours,40
B1,C1,hours,2024-09-03 22:00:00,10,Hours,0.50,hours,5
"""
        wizard = self.env["reseller.usage.import"].create(
            {
                "file": base64.b64encode(content.encode()),
                "filename": "focus.csv",
                "create_missing": True,
                "create_prices": True,
            }
        )
        wizard.action_check()
        self.assertTrue(wizard.notice.endswith(": bytes, calls, tiered"), wizard.notice)
        wizard.action_import()
        self.assertEqual((wizard.accepted, wizard.rejected), (4, 0))
        rules = self.env["reseller.price.rule"].search([])
        self.assertEqual(
            rules.mapped(lambda one: (one.feature_id.code, one.unit_price)), [("hours", 0.5)]
        )

    @unittest.skipUnless(SAMPLE.exists(), f"no FOCUS sample at {SAMPLE}")
    def test_the_sample_is_billed_exactly(self):
        content = SAMPLE.read_bytes()
        created = {"create_missing": True, "create_prices": True}
        self.assertEqual(self._import(content, **created), (999, 0, 1))
        self.assertEqual(self._import(content), (0, 999, 1))
        resellers = self.env["reseller.reseller"].search([]) - self.reseller
        self.assertEqual((len(resellers), len(resellers.client_ids)), (3, 73))
        rejection = self.env["reseller.usage.rejection"].search([])
        self.assertEqual(len(rejection), 1)
        self.assertIn("no quantity", rejection.reason)
        features = self.env["reseller.feature"].search([("company_id", "=", self.company.id)])
        self.assertEqual(len(features), 267)
        leveled = features.filtered("level_ids")
        self.assertEqual(len(leveled), 3)

        run = self._run("2024-11-01")
        self.assertFalse(run.parked_line_ids)
        expected, whole = defaultdict(Decimal), Decimal(0)
        for row in csv.DictReader(content.decode().splitlines()):
            if row["ConsumedQuantity"] == "NULL":
                continue
            amount = Decimal(row["ListUnitPrice"]) * Decimal(row["ConsumedQuantity"])
            level = row["SkuPriceId"] if row["SkuId"] in leveled.mapped("code") else False
            month = row["ChargePeriodStart"][:7]
            expected[row["SubAccountId"], row["SkuId"], level, month] += amount
            whole += amount
        charges = run.statement_ids.charge_ids
        exact = charges._get_exact()
        billed, unrounded = {}, Decimal(0)
        for charge in charges:
            quantity, price, amount = exact[charge.id]
            key = (
                charge.client_id.ref,
                charge.feature_id.code,
                charge.level_id.code,
                charge.cycle_start.isoformat()[:7],
            )
            self.assertNotIn(key, billed)
            billed[key] = amount
            unrounded += quantity * price
            self.assertEqual(charge._amount_from_trace(), amount)
        self.assertEqual(
            billed,
            {
                key: amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
                for key, amount in expected.items()
            },
        )
        self.assertEqual(unrounded, whole)
        for statement in run.statement_ids:
            self.assertAgrees(statement)
