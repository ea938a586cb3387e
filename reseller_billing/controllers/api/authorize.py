from functools import partial

from odoo import http
from odoo.exceptions import UserError
from odoo.http import request
from odoo.service.model import retrying

from ...models.gate.reseller_client import CONSUMED
from ...models.usage.reseller_usage_reader import MAX_EVENT
from ...tools import HTTP_PATIENCE, hold_turn
from .answer import Sender, answers_json, metering_route

QUESTION = {"client", "feature", "quantity", "level"}


class AuthorizeController(http.Controller):
    def _read(self, known):
        """Return the body's JSON object; refuse what is none, or has members that are not known."""
        raw = request.httprequest.get_data()
        asked = request.env["reseller.usage.reader"]._read_json(raw)
        if not isinstance(asked, dict):
            raise UserError(request.env._("Send a JSON object with client and feature."))
        unknown = sorted(asked.keys() - known)
        if unknown:
            raise UserError(
                request.env._("These members are not known here: %s", ", ".join(unknown)[:200])
            )
        return asked

    @metering_route("/reseller_billing/v1/authorize", max_content_length=MAX_EVENT)
    @answers_json
    def authorize(self):
        """Say whether a client may use a quantity of a feature now.

        The body is a JSON object: ``client`` (a reference), ``feature`` (a code), ``quantity`` (a
        number or decimal text, 1 where it is left out) and optionally ``level``, a price level's
        code. The answer is that of
        `reseller.client.authorize`; 400 with a ``message`` for bad input, 403 without the right.
        """
        Sender().count_request()
        asked = self._read(QUESTION)
        client = request.env["reseller.client"]._find_for_metering(asked.get("client"))
        quantity = asked.get("quantity", "1")
        return client.authorize(asked.get("feature"), quantity, asked.get("level"))

    @metering_route("/reseller_billing/v1/consume", max_content_length=MAX_EVENT)
    @answers_json
    def consume(self):
        """Take use of now in if its client may use as much.

        The body is a JSON object: ``client`` (a reference) and the event of
        `reseller.client.consume`, whose answer this is; 400 with a ``message`` for bad input, 403
        without the right. Nothing is stored but what is allowed.
        """
        request.env["reseller.usage.line"]._check_may_send()
        Sender().count_request()
        asked = self._read({"client", *CONSUMED})
        client = request.env["reseller.client"]._find_for_metering(asked.pop("client", None))
        # A cursor of its own: a turn has to begin before its transaction does.
        with (
            request.env.registry.cursor() as cr,
            hold_turn(cr, "reseller_billing/consume", client.id, HTTP_PATIENCE),
        ):
            env = request.env(cr=cr)
            return retrying(partial(client.with_env(env).consume, asked), env)
