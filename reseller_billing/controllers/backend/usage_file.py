import unicodedata

from odoo import http
from odoo.exceptions import AccessError, UserError
from odoo.http import request

# Of a file of usage; Odoo's own limit is for what it holds in memory.
MAX_FILE = 1 << 30


def get_limit(_controller):
    """Return how many bytes the user of this request may send: the body is read before rights are looked at."""
    may_import = request.env["reseller.usage.import"].has_access("create")
    return MAX_FILE if may_import else request.httprequest.max_content_length


class UsageFileController(http.Controller):
    @http.route(
        "/reseller_billing/usage_file",
        type="http",
        auth="user",
        methods=["POST"],
        max_content_length=get_limit,
    )
    def upload_usage_file(self, ufile):
        """Keep a file until its import is saved; return {"id": its attachment, "name": …} as JSON.

        :param ufile: the file, as a part of a form
        """
        imports = request.env["reseller.usage.import"]
        try:
            # What is refused leaves nothing.
            with request.env.cr.savepoint():
                attachment = imports._keep_upload(
                    ufile.stream, unicodedata.normalize("NFC", ufile.filename or "usage")
                )
        except (AccessError, UserError) as error:
            return request.make_json_response({"error": {"message": str(error)}}, status=403)
        return request.make_json_response({"id": attachment.id, "name": attachment.name})
