import pytest
from odoo.tests import tagged

from ..common_portal import PortalCommon

PATH = "/my/reseller/earned"


@tagged("post_install", "-at_install")
class TestPortalEarned(PortalCommon):
    """A reseller reads what it earns, agrees or objects."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.commissions = cls._create_commissions()

    @pytest.mark.isolation
    def test_it_sees_its_own_and_says_what_it_thinks(self):
        mine = self.commissions[self.reseller]
        self._log_in("R1")
        page = self._get(PATH).text
        self.assertIn("R1/2024-03-31", page)
        self.assertNotIn("R2/", page)
        page = self._get(f"{PATH}/{mine.id}").text
        # February's use of A: 20 units at 1.00, of which 10 %.
        self.assertIn("$\N{NO-BREAK SPACE}2.00", page)
        self.assertIn("I agree", page)
        answer = self._post(f"{PATH}/{mine.id}", answer="object")
        self.assertIn("Say what is wrong", answer.text)
        self._post(f"{PATH}/{mine.id}", answer="object", words="20 % were\nagreed")
        self.assertEqual((mine.state, mine.dispute), ("disputed", "20 % were\nagreed"))
        self.assertNotIn("I agree", self._get(f"{PATH}/{mine.id}").text)
        mine.action_send()
        self._post(f"{PATH}/{mine.id}", answer="agree", amount="2.0")
        self.assertEqual((mine.state, mine.agreed_by), ("sent", "Reseller R1"))
        # Not another's, nor one that was not shown yet.
        other = self.commissions[self.second_reseller]
        self.assertEqual(self._get(f"{PATH}/{other.id}").status_code, 404)
        self.assertEqual(self._post(f"{PATH}/{other.id}", answer="agree").status_code, 404)
        self.assertFalse(other.agreed_by)
        self.env["reseller.commission"].browse(other.id).sudo().state = "draft"  # as it began
        self._log_in("R2")
        self.assertNotIn("R2/2024-03-31", self._get(PATH).text)
        self._log_in("A")
        self.assertEqual(self._get(PATH).status_code, 404)
        # Who earns nothing has no such page.
        self._log_in("R1")
        self.assertIn(f'href="{PATH}"', self._get("/my/reseller").text)
        self.third_reseller.commission_ids.sudo().unlink()  # nobody may, else
        self.third_reseller.settlement = "none"
        self._log_in("R3")
        self.assertNotIn(f'href="{PATH}"', self._get("/my/reseller").text)
        self.assertEqual(self._get(PATH).status_code, 404)
