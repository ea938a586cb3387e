import io

import xlsxwriter
from odoo import http
from odoo.http import content_disposition, request

WIDTH = 24


class ClientTemplateController(http.Controller):
    @http.route("/reseller_billing/client_template", type="http", auth="user", methods=["GET"])
    def client_template(self):
        """Return the workbook by which clients are imported, in the language of who asks.

        The first sheet has the columns and an example, the second says what each of them is.
        """
        clients = request.env["reseller.client"]
        clients.check_access("create")
        content = io.BytesIO()
        with xlsxwriter.Workbook(content, {"in_memory": True}) as workbook:
            bold = workbook.add_format({"bold": True})
            wrapped = workbook.add_format({"text_wrap": True, "valign": "top"})
            rows = workbook.add_worksheet(request.env._("Clients"))
            words = workbook.add_worksheet(request.env._("Columns"))
            rows.freeze_panes(1, 0)
            rows.set_column(0, 20, WIDTH)
            words.set_column(0, 0, WIDTH)
            words.set_column(1, 1, 4 * WIDTH, wrapped)
            columns = clients._get_template_columns()
            for number, (path, example, explanation) in enumerate(columns):
                label = clients._get_column_label(path)
                rows.write_string(0, number, label, bold)
                rows.write_comment(0, number, explanation)
                rows.write_string(1, number, example)
                words.write_string(number, 0, label, bold)
                words.write_string(number, 1, explanation)
        name = request.env._("Clients.xlsx")
        return request.make_response(
            content.getvalue(),
            [
                (
                    "Content-Type",
                    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                ),
                ("Content-Disposition", content_disposition(name)),
            ],
        )
