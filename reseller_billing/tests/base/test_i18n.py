import io
import pathlib

import polib
from odoo.tests import TransactionCase, tagged
from odoo.tools.translate import trans_export

TEMPLATE = pathlib.Path(__file__).resolve().parents[2] / "i18n/reseller_billing.pot"


@tagged("post_install", "-at_install")
class TestI18n(TransactionCase):
    def test_the_template_has_all_texts(self):
        buffer = io.BytesIO()
        trans_export(False, ["reseller_billing"], buffer, "po", self.env)
        texts = {entry.msgid for entry in polib.pofile(buffer.getvalue().decode())}
        there = {entry.msgid for entry in polib.pofile(str(TEMPLATE))}
        self.assertEqual(there, texts, "export the template again, see docs/developers.md")
        self.assertIn("This bill exists already: a period is never billed twice.", texts)
