import io
import pathlib

import polib
from odoo.modules import Manifest
from odoo.tests import TransactionCase, tagged
from odoo.tools.translate import trans_export


class AllTexts:
    """Whether the template of an addon's texts has all of them."""

    addon = None

    def test_the_template_has_all_texts(self):
        buffer = io.BytesIO()
        trans_export(False, [self.addon], buffer, "po", self.env)
        texts = {entry.msgid for entry in polib.pofile(buffer.getvalue().decode())}
        template = pathlib.Path(Manifest.for_addon(self.addon).path) / f"i18n/{self.addon}.pot"
        there = {entry.msgid for entry in polib.pofile(str(template))}
        self.assertEqual(there, texts, "export the template again, see docs/developers.md")


@tagged("post_install", "-at_install")
class TestI18n(AllTexts, TransactionCase):
    addon = "reseller_billing"
