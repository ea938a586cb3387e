from lxml import etree
from odoo.addons.reseller_billing.tests.common import ResellerBillingCommon
from odoo.tests import tagged


@tagged("post_install", "-at_install")
class TestPeriods(ResellerBillingCommon):
    """Electronic invoices say for which days each line is."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        germany = cls.env.ref("base.de")
        cls.company.partner_id.write(
            {
                "country_id": germany.id,
                "street": "Street 1",
                "city": "Berlin",
                "zip": "10115",
                "vat": "DE123456788",
                "phone": "+49 30 1234567",
                "email": "bills@example.com",
            }
        )
        cls.env["res.partner.bank"].create(
            {"acc_number": "DE89370400440532013000", "partner_id": cls.company.partner_id.id}
        )
        cls.product.taxes_id = cls.env["account.tax"].create(
            {"name": "19 %", "amount": 19, "country_id": cls.company.account_fiscal_country_id.id}
        )
        cls.client_a.partner_id.write(
            {
                "country_id": germany.id,
                "street": "Street 2",
                "city": "Bonn",
                "zip": "53111",
                "email": "client@example.com",
                "ref": "04011000-12345-34",
            }
        )
        # Use of January, and the fee of February ahead.
        cls._create_rule(unit_price=1, recurring_fee=10)
        cls._use("2024-01-10", 5)
        cls._run("2024-02-01")

    def _export(self, move, builder):
        content, _errors = self.env[builder]._export_invoice(move)
        return etree.fromstring(content)

    def _periods(self, move, builder):
        tree = self._export(move, builder)
        found = set()
        for period in tree.iterfind(".//{*}InvoiceLine/{*}InvoicePeriod"):
            found.add((period.findtext("{*}StartDate"), period.findtext("{*}EndDate")))
        for period in tree.iterfind(".//{*}CreditNoteLine/{*}InvoicePeriod"):
            found.add((period.findtext("{*}StartDate"), period.findtext("{*}EndDate")))
        return found

    def test_lines_of_ubl_have_their_days(self):
        statement = self.client_a.statement_ids.filtered(
            lambda one: str(one.bill_date) == "2024-02-01"
        )
        invoice = statement.invoice_id
        expected = {("2024-01-01", "2024-01-31"), ("2024-02-01", "2024-02-29")}
        for builder in ("account.edi.xml.ubl_bis3", "account.edi.xml.ubl_de"):
            self.assertEqual(self._periods(invoice, builder), expected)
            tree = self._export(invoice, builder)
            self.assertEqual(tree.findtext(".//{*}Delivery/{*}ActualDeliveryDate"), "2024-01-31")

    def test_lines_of_factur_x_have_their_days(self):
        statement = self.client_a.statement_ids.filtered(
            lambda one: str(one.bill_date) == "2024-02-01"
        )
        tree = self._export(statement.invoice_id, "account.edi.xml.cii")
        found = {
            tuple(node.text for node in period.iterfind(".//{*}DateTimeString"))
            for period in tree.iterfind(
                ".//{*}SpecifiedLineTradeSettlement/{*}BillingSpecifiedPeriod"
            )
        }
        self.assertEqual(found, {("20240101", "20240131"), ("20240201", "20240229")})

    def test_what_is_given_back_has_the_days_of_it(self):
        self.client_a.action_close("2024-02-20")
        self._run("2024-02-21")
        credit = self.client_a.statement_ids.sorted("bill_date")[-1].invoice_id
        self.assertEqual(credit.move_type, "out_refund")
        self.assertEqual(
            self._periods(credit, "account.edi.xml.ubl_bis3"), {("2024-02-21", "2024-02-29")}
        )

    def test_other_invoices_are_odoos(self):
        move = self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": self.client_a.partner_id.id,
                "invoice_date": "2024-02-01",
                "invoice_line_ids": [(0, 0, {"product_id": self.product.id, "price_unit": 1})],
            }
        )
        move.action_post()
        self.assertEqual(self._periods(move, "account.edi.xml.ubl_bis3"), set())

    def test_sending_makes_the_format_that_its_payer_wants(self):
        statement = self.client_a.statement_ids.filtered(
            lambda one: str(one.bill_date) == "2024-02-01"
        )
        invoice = statement.invoice_id
        for edi_format, tag in (("xrechnung", "Invoice"), ("facturx", "CrossIndustryInvoice")):
            self.client_a.partner_id.invoice_edi_format = edi_format
            (invoice.invoice_pdf_report_id | invoice.ubl_cii_xml_id).unlink()
            statement.action_send()
            before = self.env["mail.mail"].search([])
            with self.allow_pdf_render():
                statement.sudo().with_context(force_report_rendering=True)._send_mails()
            self.assertEqual((statement.send_state, statement.send_failure), ("sent", False))
            mail = self.env["mail.mail"].search([]) - before
            found = etree.fromstring(invoice.ubl_cii_xml_id.raw)
            self.assertEqual(etree.QName(found).localname, tag)
            documents = invoice.invoice_pdf_report_id | invoice.ubl_cii_xml_id
            self.assertEqual(documents & mail.attachment_ids, documents)
