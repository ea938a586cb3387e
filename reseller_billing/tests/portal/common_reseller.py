from lxml import html

from ..common_portal import PortalCommon


class ResellerPortalCommon(PortalCommon):
    """What a reseller does in the portal, logged in."""

    FORM = {"lang": "en_US", "billing_anchor": "month"}

    def setUp(self):
        super().setUp()
        self._log_in("R1")
        self.token = self._token()
        self.path = f"/my/reseller/clients/{self.client_a.id}"

    def _errors(self, answer):
        """Return {field: message} of a form that came back."""
        self.assertEqual(answer.status_code, 200)
        tree = html.fromstring(answer.text)
        return {
            one.get("id")[6:]: one.text_content().strip()
            for one in tree.xpath("//div[contains(@class, 'invalid-feedback')]")
        }
