import re
from datetime import date

from odoo import fields
from odoo.tests import HttpCase, new_test_user

from .common import PrepaidCommon


class PortalCommon(PrepaidCommon, HttpCase):
    """Two resellers with two clients each, and a third one of a second company; all with users.

    Logins and passwords are the references: R1 serves A and A2, R2 serves B and B2, R3 serves C.
    Everybody has used 7 units, and A and B have a bill of January.
    """

    RIGHTS = (
        "portal_set_prices",
        "portal_create_clients",
        "portal_delete_clients",
        "portal_login_as",
    )

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second_reseller = cls._create_reseller("R2")
        cls.client_a2 = cls._create_client("A2")
        cls.client_b = cls._create_client("B", reseller_id=cls.second_reseller.id)
        cls.client_b2 = cls._create_client("B2", reseller_id=cls.second_reseller.id)
        cls.second_group = cls.env["reseller.client.group"].create(
            {"name": "Silver", "reseller_id": cls.second_reseller.id}
        )
        cls.other_company = cls.setup_other_company()["company"]
        cls.other_company.reseller_usage_product_id = cls.product
        cls.third_reseller = cls._create_reseller("R3", company_id=cls.other_company.id)
        cls.client_c = cls._create_client("C", reseller_id=cls.third_reseller.id)
        cls.resellers = cls.reseller | cls.second_reseller | cls.third_reseller
        cls.resellers.write(dict.fromkeys(cls.RIGHTS, True))
        for reseller in cls.resellers:
            cls.env["reseller.price.floor"].create(
                {
                    "reseller_id": reseller.id,
                    "feature_id": cls.feature.id,
                    "unit_price": 0.5,
                    "included_quantity": 100,
                }
            )
            cls._create_portal_user(reseller.code, reseller)
        cls.clients = cls.client_a | cls.client_a2 | cls.client_b | cls.client_b2 | cls.client_c
        for client in cls.clients:
            cls._create_portal_user(client.ref, client)
        for ref in ("A", "A2", "B", "B2"):
            cls._use("2024-01-05", 7, client=ref)
        cls._run("2024-02-01")

    @classmethod
    def _have_reseller_buy(cls, reseller, month=3):
        """Have a reseller buy since March, or another month of 2024, at 0.37, and be billed it; return its
        buyer's account.
        """
        first = date(2024, month, 1)
        dialog = cls.env["reseller.buyer.make"].create({"reseller_id": reseller.id, "date": first})
        buyer = cls.env["reseller.client"].browse(dialog.action_make()["res_id"])
        cls._create_rule(book="wholesale", unit_price=0.37, date_from=first)
        for number, client in enumerate(reseller.client_ids.sorted("id"), 1):
            cls._use(str(first.replace(day=4 + number)), 10 * number, client=client.ref)
        cls._run(str(first.replace(month=month + 1)))
        return buyer

    @classmethod
    def _create_commissions(cls, resellers=None):
        """Return {reseller: its commission statement of February and March, shown to it}, of all or some.

        Each earns 10 % of what is billed from 2 February on; A has used 20 units in February.
        """
        resellers = resellers or cls.resellers
        cls._use("2024-02-05", 20, client="A")
        resellers.write({"settlement": "referral", "settlement_date": "2024-02-02"})
        cls.env["reseller.commission.rate"].create(
            [
                {"reseller_id": reseller.id, "date_from": "2024-02-02", "percent": 10}
                for reseller in resellers
            ]
        )
        cls._run("2024-03-01")
        made = {
            reseller: cls.env["reseller.commission"]._make(reseller, date(2024, 3, 31))
            for reseller in resellers
        }
        for commission in made.values():
            commission.action_send()
        return made

    @classmethod
    def _create_portal_user(cls, login, record):
        record.partner_id.email = f"{login.lower()}@example.com"
        return new_test_user(
            cls.env,
            login,
            "base.group_portal",
            name=record.partner_id.name,
            password=f"{login}-password",
            partner_id=record.partner_id.id,
            company_id=record.company_id.id,
            company_ids=[fields.Command.set(record.company_id.ids)],
        )

    def authenticate(self, user, password, **kwargs):
        """Override of `HttpCase`: tours log in with the login as password."""
        if user and password == user:
            password = f"{user}-password"
        return super().authenticate(user, password, **kwargs)

    def _log_in(self, login):
        self.authenticate(login, f"{login}-password")

    def _get(self, path):
        return self.url_open(path, allow_redirects=False)

    def _token(self):
        """Return the CSRF token that the pages of this session have."""
        for path in ("/my/service", "/my", "/web/login"):
            found = re.search(r'csrf_token: "([^"]+)"', self.url_open(path).text)
            if found:
                return found.group(1)
        raise AssertionError("No page has a token")

    def _post(self, path, token=None, **data):
        """Send a form as the pages of this session do."""
        data = {"csrf_token": token or self._token(), **data}
        return self.url_open(path, data=data, allow_redirects=False)
