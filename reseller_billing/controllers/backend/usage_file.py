import unicodedata

from odoo import http
from odoo.exceptions import AccessError, UserError
from odoo.http import request

# Of a file of usage; Odoo's own limit is for what it holds in memory.
MAX_FILE = 1 << 30


class UsageFileController(http.Controller):
    @http.route(
        "/reseller_billing/usage_file",
        type="http",
        auth="user",
        methods=["POST"],
        max_content_length=MAX_FILE,
    )
    def upload_usage_file(self, ufile):
        """Keep a file until its import is saved; return {"id": its attachment, "name": …} as JSON.

        :param ufile: the file, as a part of a form
        """
        try:
            attachment = request.env["reseller.usage.import"]._keep_upload(
                ufile.stream, unicodedata.normalize("NFC", ufile.filename or "usage")
            )
        except (AccessError, UserError) as error:
            return request.make_json_response({"error": {"message": str(error)}}, status=403)
        return request.make_json_response({"id": attachment.id, "name": attachment.name})
