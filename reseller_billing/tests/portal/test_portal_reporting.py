import csv
import io
import json
from datetime import date
from decimal import Decimal

import openpyxl
import pytest
from freezegun import freeze_time
from lxml import html
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..common_portal import PortalCommon

PATH = "/my/reseller/report"
JANUARY = "first=2024-01-01&last=2024-01-31"


@tagged("post_install", "-at_install")
class TestPortalReporting(PortalCommon):
    """A reseller looks at the use of all its clients: by feature, by client, by a property of the events."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seats = cls._create_feature("seats", aggregation="max")
        cls._create_rule(cls.seats, unit_price=2)
        for day, client, blast in (
            ("10", "A", "spring"),
            ("11", "A2", "spring"),
            ("12", "A", "sale"),
        ):
            cls._use(f"2024-02-{day}", 10, client=client, properties={"blast": blast, "n": 1})
        cls._use("2024-02-13", 5, client="B", properties={"blast": "secret"})
        # The highest of a client's days, and the clients' added up: 4 + 3.
        cls._use("2024-02-10", 4, feature="seats", client="A")
        cls._use("2024-02-11", 2, feature="seats", client="A")
        cls._use("2024-02-11", 3, feature="seats", client="A2")
        cls._run("2024-03-01")

    def _rows(self, query, path=PATH):
        """Return the texts of a page's table, a list a row, and its foot."""
        answer = self._get(f"{path}?{query}")
        self.assertEqual(answer.status_code, 200, answer.text[-3000:])
        tree = html.fromstring(answer.text)
        return [
            [" ".join(cell.text_content().split()) for cell in row.xpath("./th|./td")]
            for row in tree.xpath("//table[contains(@class, 'o_reseller_fold')]/*/tr[th[@label]]")
        ]

    def test_a_chart_has_six_lines_and_the_others_as_one(self):
        for number in range(8):
            self._use("2024-02-20", 100 - number, self._create_feature(f"f{number}").code)
        self._log_in("R1")
        page = self._get(f"{PATH}?first=2024-02-20&last=2024-02-20").text
        [data] = html.fromstring(page).xpath("//@data-chart")
        # f0 to f5; of the others 94 and 93.
        self.assertEqual(
            [(line["label"], line["data"]) for line in json.loads(data)["datasets"]],
            [*((f"F{number}", [100 - number]) for number in range(6)), ("Others", [187])],
        )

    def test_by_feature_beside_the_days_before(self):
        self._log_in("R1")
        rows = self._rows("first=2024-02-01&last=2024-02-29&compare=1")
        # February: 30 units against January's 14; bills of February are January's: 7 + 7.
        self.assertEqual(
            rows,
            [
                ["Seats", "3", "7", "$ 0.00", "0", ""],
                ["Unit", "3", "30", "$ 14.00", "14", "▲ +114.3 %"],
            ],
        )
        # March bills February: 30 × 1.00, and 4 × 2.00 + 3 × 2.00; January's bills were of nothing.
        rows = self._rows("first=2024-03-01&last=2024-03-31&compare=1&measure=money")
        self.assertEqual(
            rows,
            [
                ["Seats", "", "0", "$ 14.00", "$ 0.00", ""],
                ["Unit", "", "0", "$ 30.00", "$ 14.00", "▲ +114.3 %"],
            ],
        )

    def test_clients_beside_features_in_units_and_money(self):
        self._log_in("R1")
        rows = self._rows("first=2024-02-01&last=2024-02-29&by=client")
        self.assertEqual(
            rows,
            [["Client A", "4", "20"], ["Client A2", "3", "10"], ["All 2 clients", "7", "30"]],
        )
        rows = self._rows("first=2024-03-01&last=2024-03-31&by=client&measure=money")
        self.assertEqual(
            rows,
            [
                ["Client A", "$ 20.00", "$ 8.00", "$ 28.00"],
                ["Client A2", "$ 10.00", "$ 6.00", "$ 16.00"],
                ["All 2 clients", "$ 30.00", "$ 14.00", "$ 44.00"],
            ],
        )

    def test_clients_beside_the_days_before(self):
        self._log_in("R1")
        days = "first=2024-02-01&last=2024-02-29&by=client&compare=1"
        self.assertIn("Choose a feature, or money", self._get(f"{PATH}?{days}").text)
        rows = self._rows(f"{days}&feature={self.feature.id}")
        self.assertEqual(
            rows,
            [
                ["Client A", "20", "7", "▲ +185.7 %"],
                ["Client A2", "10", "7", "▲ +42.9 %"],
                ["All 2 clients", "30", "", ""],
            ],
        )

    def test_what_was_billed_without_a_feature_last_month_alone(self):
        with freeze_time("2024-03-15 12:00:00"):
            item = self.env["reseller.manual.charge"].create(
                {
                    "client_id": self.client_a.id,
                    "name": "Help",
                    "date": "2024-03-15",
                    "quantity": 1,
                    "unit_price": 50,
                    "product_id": self.product.id,
                }
            )
            item.action_bill_now()
        self._log_in("R1")
        rows = self._rows("first=2024-04-01&last=2024-04-30&compare=1&measure=money")
        self.assertIn(["Other", "", "", "$ 0.00", "$ 50.00", "▼ -100.0 %"], rows)
        # Offers that nobody has paid are not billed, on any page.
        before = self.reseller._get_billed_months()
        self._sell("2024-04-20", self.package, pay=False)
        self.assertEqual(self.reseller._get_billed_months(), before)
        rows = self._rows("first=2024-04-01&last=2024-04-30&measure=money")
        self.assertNotIn("Other", [row[0] for row in rows])
        with freeze_time("2024-04-25 12:00:00"):
            self.reseller.invalidate_recordset()
            self.assertEqual(self.reseller.month_amount, 0)

    def test_each_client_near_its_limit_is_named_once(self):
        alerts = self.env["reseller.usage.alert"].sudo()  # the schedule makes them
        for feature, client, threshold in (
            (self.feature, self.client_a, 80),
            (self.seats, self.client_a, 100),
            (self.feature, self.client_a2, 80),
        ):
            alerts.create(
                {
                    "client_id": client.id,
                    "feature_id": feature.id,
                    "kind": "maximum",
                    "threshold": threshold,
                    "cycle_start": "2024-01-01",
                    "cycle_end": "2100-01-01",
                }
            )
        near = self.reseller._get_near()
        self.assertEqual(
            [(alert.client_id.ref, alert.threshold) for alert in near], [("A", 100), ("A2", 80)]
        )

    @pytest.mark.isolation
    def test_by_a_property_of_the_events(self):
        self._log_in("R1")
        query = "first=2024-02-01&last=2024-02-29&by=property:blast"
        self.assertEqual(
            self._rows(query), [["spring", "Unit", "2", "20"], ["sale", "Unit", "1", "10"]]
        )
        page = self._get(f"{PATH}?{query}").text
        self.assertIn('value="property:n"', page)
        self.assertNotIn("secret", page)
        self._log_in("R2")
        self.assertEqual(self._rows(query), [["secret", "Unit", "1", "5"]])
        # Days that would read too many events one by one.
        page = self._get(f"{PATH}?first=2023-01-01&last=2024-02-29&by=property:blast").text
        self.assertIn("at most 92 days", page)
        # What is no name of a property finds nothing, and breaks nothing.
        page = self._get(f"{PATH}?{JANUARY}&by=property:%27%3B--").text
        self.assertIn("No event of these days", page)

    @pytest.mark.isolation
    def test_files_have_each_feature_of_each_client(self):
        self._log_in("R1")
        answer = self._get(f"{PATH}.csv?first=2024-02-01&last=2024-02-29&compare=1")
        head, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
        self.assertEqual(
            head,
            [
                *("Client", "Reference", "Feature", "Events", "Quantity", "Quantity before"),
                "Billed (USD)",
            ],
        )
        self.assertEqual(
            [[*row[:5], Decimal(row[5]), Decimal(row[6])] for row in rows],
            [
                ["Client A", "A", "Seats", "2", "4", 0, 0],
                ["Client A", "A", "Unit", "2", "20", 7, 7],
                ["Client A2", "A2", "Seats", "1", "3", 0, 0],
                ["Client A2", "A2", "Unit", "1", "10", 7, 7],
            ],
        )
        answer = self._get(f"{PATH}.xlsx?first=2024-02-01&last=2024-02-29&by=property:blast")
        [sheet] = openpyxl.load_workbook(io.BytesIO(answer.content))
        self.assertEqual(
            [[cell.value for cell in row] for row in sheet.rows],
            [
                ["blast", "Feature", "Events", "Quantity"],
                ["spring", "Unit", 2, 20],
                ["sale", "Unit", 1, 10],
            ],
        )
        # Another's reseller is not to be chosen.
        answer = self._get(f"{PATH}.csv?{JANUARY}&reseller={self.second_reseller.id}")
        self.assertNotIn("Client B", answer.text)
        self.assertIn("Client A2", answer.text)
        # Bad days are told on the page, and make no file.
        self.assertIn(
            "Not before the first day", self._get(f"{PATH}?first=2024-02-02&last=2024-02-01").text
        )

    @pytest.mark.isolation
    def test_who_does_not_see_money_sees_units(self):
        self.reseller.write({"invoice_to": "reseller", "portal_see_cost": False})
        self._log_in("R1")
        query = "first=2024-03-01&last=2024-03-31&by=client&measure=money"
        page = self._get(f"{PATH}?{query}").text
        self.assertNotIn("28.00", page)
        self.assertNotIn("Money billed", page)
        self.assertNotIn("28.00", self._get(f"{PATH}.csv?{query}").text)
        self._log_in("A")
        self.assertEqual(self._get(PATH).status_code, 404)
        self.assertEqual(self._get(f"{PATH}.csv").status_code, 404)

    @pytest.mark.isolation
    @mute_logger("odoo.http")
    def test_systems_read_all_clients_in_pages(self):
        self.resellers.portal_use_api = True
        user = self.env["res.users"].search([("login", "=", "R1")])
        keys_sudo = self.env["res.users.apikeys"].with_user(user).sudo()  # as the page makes one
        key = keys_sudo._generate("reseller_billing.usage", "Test", date(2100, 1, 1))
        usage = f"/reseller_billing/v1/clients/usage?{JANUARY}"

        def ask(query):
            return self.url_open(usage + query, headers={"Authorization": f"Bearer {key}"})

        days = [{"day": "2024-01-05", "feature": "unit", "level": None, "quantity": "7"}]
        first = ask("&limit=1").json()
        self.assertEqual(first["clients"], [{"client": "A", "days": days}])
        second = ask(f"&limit=1&after={first['next']}").json()
        self.assertEqual(second["clients"], [{"client": "A2", "days": days}])
        self.assertIsNone(second["next"])
        self.assertEqual(ask("").json()["clients"], first["clients"] + second["clients"])
        for wrong in ("0", "101", "x", "-1"):
            self.assertEqual(ask(f"&limit={wrong}").status_code, 400, wrong)
        self.assertEqual(ask("&client=").status_code, 404)

    def test_whole_months_are_compared_with_months(self):
        for days, before in (
            (("2024-03-01", "2024-03-31"), ("2024-02-01", "2024-02-29")),
            (("2024-01-01", "2024-03-31"), ("2023-10-01", "2023-12-31")),
            # A month that runs: the same days of the one before.
            (("2024-03-01", "2024-03-10"), ("2024-02-01", "2024-02-10")),
            (("2024-03-01", "2024-03-30"), ("2024-02-01", "2024-02-29")),
            (("2024-03-05", "2024-03-11"), ("2024-02-27", "2024-03-04")),
        ):
            found = self.reseller._get_days_before(*map(date.fromisoformat, days))
            self.assertEqual(tuple(map(str, found)), before, days)

    def test_the_overview_forecasts_the_month(self):
        expect = self.reseller._expect
        # Nine whole days with 90 units, and 3 today: 30 days bring 300.
        self.assertEqual(expect(Decimal(93), Decimal(90), date(2024, 4, 10)), 300)
        self.assertIsNone(expect(Decimal(3), Decimal(0), date(2024, 4, 1)))
        # What is used already is used: 1 in nine days, 50 today.
        self.assertEqual(expect(Decimal(51), Decimal(1), date(2024, 4, 10)), 51)
        self.assertEqual(
            self.reseller._get_spark([Decimal(0), Decimal(5), Decimal(10)]),
            "0.0,19.0 50.0,10.0 100.0,1.0",
        )
        self._log_in("R1")
        page = self._get("/my/reseller").text
        self.assertIn("A bill is due", page)  # since 2024
        self.assertNotIn("2024", html.fromstring(page).xpath("string(//h1/following::div[1])"))
