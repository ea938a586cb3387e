from ..common import PrepaidCommon


class LedgerCommon(PrepaidCommon):
    """Reports beside what the ledger says."""

    def setUp(self):
        super().setUp()
        self.taxes = self.prepaid.copy({"name": "Taxes"})

    def _tax(self, rate, included=False):
        kind = "tax_included" if included else "tax_excluded"
        return self._create_owed_tax(rate, self.taxes, price_include_override=kind)

    def _revenue(self, *domain):
        self.env["reseller.analysis"].invalidate_model()
        [(total,)] = self.env["reseller.analysis"]._read_group([*domain], [], ["amount:sum"])
        return self.company.currency_id.round(total)

    def assertTies(self):
        """Assert that analysis and dashboard are what the ledger has on income accounts."""
        lines = self.env["account.move.line"].search(
            [
                "|",
                ("account_id.account_type", "in", ("income", "income_other")),
                ("account_id", "=", self.company.reseller_bonus_account_id.id),
                ("company_id", "=", self.company.id),
                ("parent_state", "=", "posted"),
            ]
        )
        if self.company.reseller_bonus_mode == "expense":
            lines = lines.filtered(lambda line: line.account_id.account_type != "expense")
        total = self.company.currency_id.round(-sum(lines.mapped("balance")))
        self.assertEqual(self._revenue(("company_id", "=", self.company.id)), total)
        return total

    def _rollforward(self, first, last):
        rows = self.env["reseller.rollforward"].with_context(
            reseller_date_from=first, reseller_date_to=last
        )
        rows.invalidate_model()
        names = ("opening", "added", "used", "expired", "refunded", "closing")
        rest = ("accrued", "exchange", "other")
        found = {}
        for row in rows.search([("company_id", "=", self.company.id)]):
            found[row.kind] = [row[name] for name in names]
            self.assertEqual(found[row.kind], [row[f"{name}_balance"] for name in names])
            self.assertFalse(any(row[name] for name in rest))
            self.assertEqual((str(row.date_from), str(row.date_to)), (first, last))
        return found

    def _unbilled(self, first, last, names=("opening", "earned", "billed", "closing")):
        """Return {(client, feature): amounts} of the report that the dialog opens."""
        dialog = self.env["reseller.report.period"].create(
            {"report": "reseller.unbilled", "date_from": first, "date_to": last}
        )
        action = dialog.action_open()
        rows = self.env[action["res_model"]].search(action["domain"])
        return {
            (row.client_id.ref, row.feature_id.code): tuple(row[name] for name in names)
            for row in rows
        }

    def _pay_in(self, amount):
        line = self._receive(amount).move_id.line_ids._get_open_receivables()
        self.client_a._fund_wallet(line, "Paid in")
