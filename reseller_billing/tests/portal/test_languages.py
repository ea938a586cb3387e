import pathlib
import re

import polib
import pytest
from lxml import html
from odoo.tests import tagged

from ..common_portal import PortalCommon

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "i18n"
LANGUAGES = {
    "ar": "ar_001",
    "de": "de_DE",
    "es": "es_ES",
    "fr": "fr_FR",
    "it": "it_IT",
    "nl": "nl_NL",
    "pt_BR": "pt_BR",
}
# What stands for a value in a text.
VALUE = re.compile(r"%\([a-z_0-9]+\)[sdr]|%[sdr]|\{\{.*?\}\}|\{[a-z_0-9]*\}")
SEEN = ("label", "title", "placeholder", "aria-label", "alt")


@tagged("post_install", "-at_install")
class TestLanguages(PortalCommon):
    """What resellers and clients read is in their language, to the last word."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for code in LANGUAGES.values():
            cls.env["res.lang"]._activate_lang(code)
        # Odoo's own pages around ours are in English here: theirs are not looked at. What ours
        # show of an invoice is said by accounting.
        modules = cls.env["ir.module.module"]
        modules._load_module_terms(["account", "reseller_billing"], list(LANGUAGES.values()))
        cls.clients.partner_id.invalidate_recordset()
        cls.reseller.write(
            {"portal_see_prices": True, "portal_use_api": True, "portal_brand": True}
        )
        cls.statement = cls.client_a.statement_ids.filtered("invoice_id")[:1]

    def _load_english(self, name):
        """Return (texts, patterns) of what is another text in a language, as it stands on a page: whole ones, what
        stands between tags, and those with values in them.
        """
        found, patterns = {}, []
        # What records of these tests are called.
        names = {"Unit", "Gold", "Silver", "A", "B", "C", *self.clients.mapped("name")}
        for entry in polib.pofile(str(FOLDER / f"{name}.po")):
            pieces = [
                [" ".join(one.split()) for one in re.split(r"<[^>]*>", text)]
                for text in (entry.msgid, entry.msgstr)
            ]
            for text in pieces[0]:
                if not re.search(r"[A-Za-z]{3}", text) or text in names or text in pieces[1]:
                    continue
                literal = VALUE.split(text)
                if len(literal) == 1:
                    found[text] = pieces[1]
                # Of a few words nearly every line would be one.
                elif len(re.findall(r"[A-Za-z]{3,}", " ".join(literal))) > 2:
                    patterns.append(re.compile(".+".join(map(re.escape, literal))))
        # A word that is English here may be right elsewhere: what is a translation of something.
        texts = found.keys() - {text for others in found.values() for text in others}
        return texts, patterns

    def _read_texts(self, content, within):
        """Return all that a page shows within some elements: texts, and what is read out."""
        page = html.fromstring(content)
        texts = set()
        for element in page.xpath(within):
            for one in element.iter():
                if not isinstance(one.tag, str) or one.tag in ("script", "style"):
                    continue
                if "o_portal_navbar" in (one.get("class") or ""):
                    continue
                shown = [one.text, one.tail, *(one.get(name) for name in SEEN)]
                texts.update(" ".join(text.split()) for text in shown if text)
        return texts

    def _check(self, english, content, within, where):
        texts = self._read_texts(content, within)
        self.assertTrue(texts, where)
        whole, patterns = english
        left = texts & whole
        left |= {text for text in texts for one in patterns if one.fullmatch(text)}
        self.assertFalse(left, where)

    def test_no_page_has_english_left(self):
        commission = self._create_commissions(self.reseller)[self.reseller]
        buyer = self._have_reseller_buy(self.second_reseller, month=4)
        client = f"/my/reseller/clients/{self.client_a.id}"
        service = f"/my/service/{self.client_a.id}"
        pages = {
            "R1": [
                "/my/reseller",
                "/my/reseller/clients",
                "/my/reseller/clients/new",
                "/my/reseller/groups",
                f"/my/reseller/groups/{self.group.id}",
                "/my/reseller/statements?filterby=2024-02",
                "/my/reseller/earned",
                f"/my/reseller/earned/{commission.id}",
                "/my/reseller/report?first=2024-01-01&last=2024-02-29&compare=1",
                "/my/reseller/report?first=2024-02-01&last=2024-02-29&by=client&measure=money",
                f"/my/reseller/{self.reseller.id}/brand",
                f"/my/reseller/{self.reseller.id}/api",
                client,
                *(f"{client}/{name}" for name in ("report", "billing", "delete", "login")),
                f"{client}/report?first=2024-01-01&last=2024-01-31",
                f"{client}/prices/{self.feature.id}",
                f"{client}/why/{self.statement.charge_ids[0].id}",
                f"/my/reseller/groups/{self.group.id}/prices/{self.feature.id}",
                "/my/reseller/report?first=2024-02-01&last=2024-02-29&by=property:blast",
            ],
            # That buys.
            "R2": [
                "/my/reseller/margin",
                f"/my/reseller/clients/{self.client_b.id}/billing",
                f"/my/reseller/clients/{self.client_b.id}/prices/{self.feature.id}",
                f"/my/service/{buyer.id}",
            ],
            "A": [
                "/my/service",
                service,
                f"{service}/report?first=2024-01-01&last=2024-01-31",
                f"{service}/statements",
                f"{service}/prepaid",
                f"{service}/pay",
                f"{service}/why/{self.statement.charge_ids[0].id}",
            ],
        }
        for name, code in LANGUAGES.items():
            english = self._load_english(name)
            for login, paths in pages.items():
                user = self.env["res.users"].search([("login", "=", login)])
                user.lang = code
                self.env.flush_all()
                self._log_in(login)
                self.opener.cookies["frontend_lang"] = code
                for path in paths:
                    answer = self.url_open(path)
                    self.assertEqual(answer.status_code, 200, (name, path))
                    page = html.fromstring(answer.content)
                    self.assertEqual(page.get("lang"), code.replace("_", "-"), (name, path))
                    self._check(
                        english,
                        answer.content,
                        "//*[contains(@class, 'o_reseller_page')]",
                        (name, path),
                    )

    def test_english_would_be_seen(self):
        self._log_in("R1")
        texts = set()
        client = f"/my/reseller/clients/{self.client_a.id}"
        for path in ("/my/reseller", f"{client}/billing", f"{client}/delete", client):
            content = self.url_open(path).content
            texts |= self._read_texts(content, "//*[contains(@class, 'o_reseller_page')]")
        whole, patterns = self._load_english("de")
        self.assertGreater(len(texts & whole), 20)
        self.assertTrue([text for text in texts for one in patterns if one.fullmatch(text)])

    def test_no_statement_or_mail_has_english_left(self):
        report = self.env.ref("reseller_billing.action_report_statement")
        mails = self.env["mail.template"].search([("model", "like", "reseller.")])
        mails |= self.env.ref("reseller_billing.mail_template_invitation")
        self.assertTrue(mails)
        for name, code in LANGUAGES.items():
            english = self._load_english(name)
            self.statement.client_id.partner_id.lang = code
            self.reseller.statement_lang = False
            content, _kind = report._render_qweb_html(report.report_name, self.statement.ids)
            self._check(english, content, "//*[contains(@class, 'rb')]", (name, "statement"))
            # What goes with the invoice.
            annex = (
                self.env["ir.qweb"]
                .with_context(lang=code)
                ._render(
                    "reseller_billing.report_invoice_usage",
                    {
                        "o": self.statement.invoice_id.with_context(lang=code),
                        "lang": code,
                        "float": float,
                    },
                )
            )
            self._check(english, annex, "//*[contains(@class, 'rb_usage')]", (name, "annex"))
            for template in mails:
                source = template.with_context(lang="en_US").body_html
                text = template.with_context(lang=code).body_html
                self.assertNotEqual(source, text, (name, template.name))
                self._check(english, f"<div>{text}</div>", "//div", (name, template.name))

    def test_labels_are_made_in_the_readers_language(self):
        """With the dates of that language, whatever the statement's was when it was billed."""
        charge = self.statement.charge_ids.filtered("price_rule_id")[:1]
        self.assertEqual(charge.name, "Unit: use, 01/01/2024 to 01/31/2024")
        self.assertEqual(charge.label, charge.name)
        german = charge.with_context(lang="de_DE").label
        self.assertIn("01.01.2024", german)
        self.assertIn("31.01.2024", german)
        self.assertNotIn(" to ", german)

    @pytest.mark.tour
    def test_a_day_in_german_and_in_arabic(self):
        """Arabic runs from the right, and so do its styles: without `rtlcss` Odoo ships those of English."""
        for code in ("de_DE", "ar_001"):
            for login, name in (("R1", "reseller"), ("A", "client")):
                user = self.env["res.users"].search([("login", "=", login)])
                user.lang = code
                self.start_tour(
                    "/my",
                    f"reseller_billing.any_language_{name}",
                    login=login,
                    cookies={"frontend_lang": code},
                )
        made = self.env["reseller.client"].search([("name", "=", "Harbour Dental")])
        self.assertEqual(sorted(made.mapped("ref")), ["R1-0001", "R1-0002"])

    def authenticate(self, user, password, **kwargs):
        """Override of `HttpCase`: tours log in with the login as password."""
        if user and password == user:
            password = f"{user}-password"
        return super().authenticate(user, password, **kwargs)
