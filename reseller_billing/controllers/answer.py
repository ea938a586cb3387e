import functools

from odoo import http
from odoo.exceptions import AccessError, UserError
from odoo.http import request
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from werkzeug.exceptions import HTTPException

# What systems that meter call, with an API key as bearer.
metering_route = functools.partial(
    http.route, type="http", auth="bearer", methods=["POST"], csrf=False, save_session=False
)
RETRY_AFTER = 5  # seconds


def answers_json(endpoint):
    """Let an endpoint return what becomes a JSON answer, and tell errors as JSON.

    The error's text is the member ``message``: 400 for bad input, 403 without the right, 503 with
    a Retry-After where others were at work on the same records for too long.
    """

    @functools.wraps(endpoint)
    def answer(*args, **kwargs):
        headers = []
        try:
            return request.make_json_response(endpoint(*args, **kwargs))
        except HTTPException as error:
            message, status = error.description, error.code
        except AccessError as error:
            message, status = str(error), 403
        except UserError as error:
            message, status = str(error), 400
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            message, status = request.env._("Others are at work on this: send it again."), 503
            headers = [("Retry-After", str(RETRY_AFTER))]
        # A message may repeat what came from outside, which need not be text that can be sent.
        message = message.encode(errors="replace").decode()
        return request.make_json_response({"message": message}, headers, status=status)

    return answer
