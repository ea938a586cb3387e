from math import ceil

from odoo import models
from odoo.tools import SQL
from xlsxwriter.utility import xl_rowcol_to_cell

WHY_WIDTH = 90  # characters
LINE_HEIGHT = 15  # points


class ReportStatementXlsx(models.AbstractModel):
    """Statements as a workbook: a summary, the charges with their reasons, use by day.

    Numbers and days are what they are, and sums are formulas: whoever reconciles goes on from
    here. Texts are written as texts, whatever they begin with.
    """

    _name = "report.reseller_billing.statement_xlsx"
    _description = "Statements as XLSX"
    _inherit = "report.report_xlsx.abstract"

    def generate_xlsx_report(self, workbook, data, objs):
        statements = objs.sorted(lambda obj: (obj.client_id.ref, obj.bill_date, obj.id))
        statements.check_access("read")
        formats = self._get_formats(workbook)
        summary = workbook.add_worksheet(self.env._("Summary"))
        charges = workbook.add_worksheet(self.env._("Charges"))
        usage = workbook.add_worksheet(self.env._("Usage by Day"))
        last = self._write_charges(charges, formats, statements)
        self._write_summary(summary, formats, statements, charges.get_name(), last)
        self._write_usage(usage, formats, statements)
        clients = statements._load_use_by_client()
        if clients:
            sheet = workbook.add_worksheet(self.env._("Clients"))
            self._write_clients(sheet, formats, statements, clients)
        units = statements._load_unit_rows()
        if any(units.values()):
            sheet = workbook.add_worksheet(self.env._("Packages"))
            self._write_units(sheet, formats, statements, units)

    def _get_formats(self, workbook):
        return {
            "head": workbook.add_format({"bold": True, "bottom": 1, "text_wrap": True}),
            "number_head": workbook.add_format(
                {"bold": True, "bottom": 1, "text_wrap": True, "align": "right"}
            ),
            "day": workbook.add_format(
                {"num_format": "yyyy-mm-dd", "align": "left", "valign": "top"}
            ),
            "wrap": workbook.add_format({"text_wrap": True, "valign": "top"}),
            "exact": workbook.add_format({"valign": "top"}),
            **{
                digits: workbook.add_format(
                    {"num_format": f"#,##0.{'0' * digits}".rstrip("."), "valign": "top"}
                )
                for digits in range(7)
            },
        }

    def _write_head(self, sheet, formats, columns, numbers):
        """Write the first line, which stays in sight, and set the widths.

        :param columns: (title, width in characters)
        :param numbers: which columns hold numbers, and have their titles above them on the right
        """
        for number, (title, width) in enumerate(columns):
            head = formats["number_head" if number in numbers else "head"]
            sheet.write_string(0, number, title, head)
            sheet.set_column(number, number, width)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, 0, len(columns) - 1)
        sheet.repeat_rows(0)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)

    def _write_day(self, sheet, formats, row, column, day):
        if day:
            sheet.write_datetime(row, column, day, formats["day"])

    def _write_summary(self, sheet, formats, statements, charges, last):
        self._write_head(
            sheet,
            formats,
            [
                (self.env._("Statement"), 24),
                (self.env._("Account"), 14),
                (self.env._("Client"), 30),
                (self.env._("Reseller"), 24),
                (self.env._("State"), 12),
                (self.env._("Bill Date"), 12),
                (self.env._("Use From"), 12),
                (self.env._("Use To"), 12),
                (self.env._("Invoice"), 18),
                (self.env._("Currency"), 10),
                (self.env._("Total"), 14),
                (self.env._("Invoice Date"), 12),
                (self.env._("Net"), 14),
                (self.env._("Tax"), 14),
                (self.env._("Gross"), 14),
            ],
            {10, 12, 13, 14},
        )
        states = dict(statements._fields["state"]._description_selection(self.env))
        for row, statement in enumerate(statements, 1):
            texts = (
                statement.name,
                statement.client_id.ref,
                statement.client_id.name,
                statement.reseller_id.name,
                states[statement.state],
            )
            for column, text in enumerate(texts):
                sheet.write_string(row, column, text or "")
            days = (statement.bill_date, statement.period_start, statement.period_end)
            for column, day in enumerate(days, 5):
                self._write_day(sheet, formats, row, column, day)
            sheet.write_string(row, 8, statement.invoice_id.name or "")
            sheet.write_string(row, 9, statement.currency_id.name)
            here = xl_rowcol_to_cell(row, 0)
            sheet.write_formula(
                row,
                10,
                f"=SUMIF('{charges}'!$A$2:$A${last},{here},'{charges}'!$J$2:$J${last})",
                formats[statement.currency_id.decimal_places],
                statement.amount_total,
            )
            self._write_invoice(sheet, formats, row, statement)

    def _write_invoice(self, sheet, formats, row, statement):
        """Write what a statement's invoice comes to, below zero for a credit note, behind the total."""
        invoice_sudo = statement.sudo().invoice_id  # part of what the statement says
        if not invoice_sudo:
            return
        self._write_day(sheet, formats, row, 11, invoice_sudo.invoice_date)
        sign = -1 if invoice_sudo.move_type == "out_refund" else 1
        number = formats[statement.currency_id.decimal_places]
        for column, name in enumerate(("amount_untaxed", "amount_tax", "amount_total"), 12):
            sheet.write_number(row, column, sign * invoice_sudo[name], number)

    def _write_units(self, sheet, formats, statements, units):
        """Write what these statements drew of packages, see _load_unit_rows."""
        self._write_head(
            sheet,
            formats,
            [
                (self.env._("Statement"), 24),
                (self.env._("Package"), 40),
                (self.env._("Valid Until"), 12),
                (self.env._("Used"), 14),
                (self.env._("Expired"), 14),
                (self.env._("Left"), 14),
            ],
            {3, 4, 5},
        )
        rows = [(statement, unit) for statement in statements for unit in units[statement.id]]
        for row, (statement, one) in enumerate(rows, 1):
            sheet.write_string(row, 0, statement.name)
            sheet.write_string(row, 1, one["name"])
            self._write_day(sheet, formats, row, 2, one["date_until"])
            for column, name in enumerate(("drawn", "expired", "left"), 3):
                sheet.write_number(row, column, one[name], formats["exact"])

    def _write_clients(self, sheet, formats, statements, rows):
        """Write who used what of bills for many clients, see _load_use_by_client."""
        self._write_head(
            sheet,
            formats,
            [
                (self.env._("Statement"), 24),
                (self.env._("Feature"), 22),
                (self.env._("Level"), 18),
                (self.env._("Account"), 14),
                (self.env._("Client"), 30),
                (self.env._("Quantity"), 14),
            ],
            {5},
        )
        names = {statement.id: statement.name for statement in statements}
        for number, row in enumerate(rows, 1):
            texts = (
                *(names[row["statement_id"]], row["feature"], row["level"]),
                *(row["ref"], row["client"]),
            )
            for column, text in enumerate(texts):
                sheet.write_string(number, column, text or "")
            sheet.write_number(number, 5, row["units"], formats["exact"])

    def _write_charges(self, sheet, formats, statements):
        """Write all charges; return the number of the last line, as the program counts."""
        self._write_head(
            sheet,
            formats,
            [
                (self.env._("Statement"), 24),
                (self.env._("Account"), 14),
                (self.env._("Feature"), 22),
                (self.env._("Kind"), 14),
                (self.env._("Description"), 50),
                (self.env._("From"), 12),
                (self.env._("To"), 12),
                (self.env._("Quantity"), 14),
                (self.env._("Unit Price"), 14),
                (self.env._("Amount"), 14),
                (self.env._("Currency"), 10),
                (self.env._("Why"), WHY_WIDTH),
            ],
            {7, 8, 9},
        )
        exact = statements.charge_ids._get_exact()
        kinds = dict(statements.charge_ids._fields["kind"]._description_selection(self.env))
        row = 0
        for statement in statements:
            for charge in statement.charge_ids.sorted("sequence"):
                row += 1
                quantity, price, amount = exact[charge.id]
                why = "\n".join(
                    f"{title}: {'; '.join(lines)}" for title, lines in charge._get_explanation()
                )
                texts = (
                    statement.name,
                    statement.client_id.ref,
                    charge.feature_id.name or "",
                    kinds[charge.kind],
                    charge.label,
                )
                # Programs do not fit a line's height to its text by themselves.
                lines = sum(ceil((len(line) or 1) / WHY_WIDTH) for line in why.split("\n"))
                sheet.set_row(row, LINE_HEIGHT * lines)
                for column, text in enumerate(texts):
                    sheet.write_string(row, column, text, formats["wrap"])
                self._write_day(sheet, formats, row, 5, charge.date_from)
                self._write_day(sheet, formats, row, 6, charge.date_to)
                sheet.write_number(row, 7, quantity, formats["exact"])
                sheet.write_number(row, 8, price, formats["exact"])
                sheet.write_number(row, 9, amount, formats[charge.currency_id.decimal_places])
                sheet.write_string(row, 10, charge.currency_id.name, formats["wrap"])
                sheet.write_string(row, 11, why, formats["wrap"])
        return max(row + 1, 2)

    def _write_usage(self, sheet, formats, statements):
        self._write_head(
            sheet,
            formats,
            [
                (self.env._("Statement"), 24),
                (self.env._("Account"), 14),
                (self.env._("Day"), 12),
                (self.env._("Feature"), 22),
                (self.env._("Level"), 18),
                (self.env._("Quantity"), 14),
                (self.env._("Events"), 10),
            ],
            {5, 6},
        )
        self.env["reseller.usage.daily"].check_access("read")
        rows = self.env.execute_query(
            SQL(
                """
                -- Of one account, or of all that a buyer pays for together.
                SELECT statement.id, bucket.billing_date, bucket.feature_id, bucket.level_id,
                       sum(%s), sum(bucket.event_count)
                  FROM reseller_statement statement
                  %s
                  JOIN reseller_feature feature ON feature.id = bucket.feature_id
                 WHERE statement.id = ANY(%s)
                 GROUP BY statement.id, bucket.billing_date, bucket.feature_id, bucket.level_id
                 ORDER BY array_position(%s, statement.id), bucket.billing_date,
                          bucket.feature_id, bucket.level_id
                """,
                self.env["reseller.usage.daily"]._counted_sql(),
                self.env["reseller.usage.daily"]._of_statement_sql(),
                statements.ids,
                statements.ids,
            )
        )
        features = self.env["reseller.feature"].browse({row[2] for row in rows})
        levels = self.env["reseller.feature.level"].browse({row[3] for row in rows if row[3]})
        names = {feature.id: feature.name for feature in features}
        level_names = {level.id: level.name for level in levels}
        by_id = {statement.id: statement for statement in statements}
        for row, (number, day, feature, level, quantity, events) in enumerate(rows, 1):
            sheet.write_string(row, 0, by_id[number].name)
            sheet.write_string(row, 1, by_id[number].client_id.ref)
            self._write_day(sheet, formats, row, 2, day)
            sheet.write_string(row, 3, names[feature])
            if level:
                sheet.write_string(row, 4, level_names[level])
            sheet.write_number(row, 5, quantity)
            sheet.write_number(row, 6, events)
