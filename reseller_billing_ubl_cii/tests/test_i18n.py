from odoo.addons.reseller_billing.tests.base.test_i18n import AllTexts
from odoo.tests import TransactionCase, tagged


@tagged("post_install", "-at_install")
class TestI18nOfInvoices(AllTexts, TransactionCase):
    addon = "reseller_billing_ubl_cii"
