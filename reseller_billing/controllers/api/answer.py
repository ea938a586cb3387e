import functools

from odoo import http
from odoo.exceptions import ConcurrencyError
from odoo.http import request
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from werkzeug.exceptions import ServiceUnavailable

from ...models.usage.reseller_usage_key import get_digest

# What systems that meter call, with a key as bearer; whatever goes wrong is told as JSON, see
# `ir.http._handle_error`.
metering_route = functools.partial(
    http.route,
    type="http",
    auth="reseller_ingest",
    methods=["POST"],
    csrf=False,
    save_session=False,
)
RETRY_AFTER = 2  # seconds


def answers_json(endpoint):
    """Let an endpoint return what becomes a JSON answer.

    Where others are at work on the same records, the sender is asked to come again: a request that
    waited, or were repeated here, would keep a server's process from all others.
    """

    @functools.wraps(endpoint)
    def answer(*args, **kwargs):
        try:
            return request.make_json_response(endpoint(*args, **kwargs))
        except (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, ConcurrencyError) as error:
            raise make_busy() from error

    return answer


def make_busy():
    """Return what asks the sender to come again."""
    return ServiceUnavailable(
        request.env._("Others are at work on this: send it again."), retry_after=RETRY_AFTER
    )


class Sender:
    """Who sends this request, and how much of the minute is left: a key's limits, by `count`.

    A user without a key of `reseller.usage.key` has the limits of the settings.
    """

    def __init__(self):
        key_sudo = request.env["reseller.usage.key"]._get_current()
        self._name = f"key {key_sudo.id}" if key_sudo else f"user {request.env.uid}"
        self._tallies_sudo = request.env["reseller.usage.tally"].sudo()  # nobody may write them
        company_sudo = request.env.company.sudo()  # who sends reads no settings
        self._requests, self._rejections = key_sudo._get_limits(company_sudo)
        self._rejected = 0
        key_sudo._note_use()

    def count_request(self):
        """Count this request; refuse it, before it is read, where it is one too many."""
        self._tallies_sudo._check_exhausted(self._name)
        # What a process keeps to itself for a second is a hundredth of what may be sent.
        requests, self._rejected = self._tallies_sudo._count(
            self._name, requests=1, slack=self._requests // 100
        )
        if self._requests and requests > self._requests:
            self._refuse()
        if self._rejections and self._rejected >= self._rejections:
            self._refuse()

    def check_rejected(self, number):
        """Refuse the request as a whole where so many rejected events are too many."""
        if self._rejections and self._rejected + number > self._rejections:
            self.count_rejected(number)
            self._refuse()

    def count_rejected(self, number):
        if number:
            self._tallies_sudo._count(self._name, rejected=number)

    def _refuse(self):
        # A session bears no key.
        key = request.env["ir.http"]._get_bearer()
        raise self._tallies_sudo._exhaust(self._name, *([get_digest(key)] if key else []))
