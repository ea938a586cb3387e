import json

from odoo import http
from odoo.http import request


class BareController(http.Controller):
    @http.route(
        "/reseller_billing_bench/insert",
        type="http",
        auth="bearer",
        methods=["POST"],
        csrf=False,
        save_session=False,
    )
    def insert(self):
        """Insert the events of a body as rows, without looking at them."""
        events = [json.loads(line) for line in request.httprequest.get_data().splitlines()]
        request.env.cr.execute_values(
            "INSERT INTO bench_bare (company_id, client_id, feature_id, quantity, occurred_at, "
            "billing_date, source, external_id) VALUES %s",
            [
                (
                    request.env.company.id,
                    event["client_id"],
                    event["feature_id"],
                    event["quantity"],
                    event["time"][:19],
                    event["time"][:10],
                    event["source"],
                    event["id"],
                )
                for event in events
            ],
            page_size=1000,
        )
        return request.make_json_response({"accepted": len(events)})
