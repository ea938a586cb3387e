from odoo import http
from odoo.exceptions import AccessError, UserError
from odoo.http import request


class AuthorizeController(http.Controller):
    @http.route(
        "/reseller_billing/v1/authorize",
        type="http",
        auth="bearer",
        methods=["POST"],
        csrf=False,
        save_session=False,
    )
    def authorize(self):
        """Say whether a client may use a quantity of a feature now.

        The body is a JSON object: ``client`` (a reference), ``feature`` (a code) and ``quantity``
        (a number or decimal text, 1 where it is left out). The answer is that of
        `reseller.client.authorize`; 400 with a ``message`` for bad input, 403 without the right.
        """
        try:
            asked = request.httprequest.get_json(force=True, silent=True)
            if not isinstance(asked, dict):
                raise UserError(request.env._("Send a JSON object with client and feature."))
            clients = request.env["reseller.client"]
            client = clients._find_for_metering(asked.get("client"))
            answer = client.authorize(asked.get("feature"), asked.get("quantity", "1"))
        except AccessError as error:
            return request.make_json_response({"message": str(error)}, status=403)
        except UserError as error:
            return request.make_json_response({"message": str(error)}, status=400)
        return request.make_json_response(answer)
