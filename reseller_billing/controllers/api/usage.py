import io
import uuid
from functools import partial

from odoo import http
from odoo.exceptions import UserError
from odoo.http import request
from odoo.service.model import retrying
from odoo.tools.misc import split_every
from psycopg2.errors import LockNotAvailable
from werkzeug.exceptions import (
    LengthRequired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)

from ...models.usage.reseller_usage_reader import UnreadableEvent
from ...tools import USAGE_PATIENCE, read_committed
from .answer import Sender, answers_json, make_busy, metering_route

MAX_BODY = 64 * 1024 * 1024
MAX_EVENTS = 100_000
BATCH = 2000
# Of what has no id and source, so many are kept, one by one: the rest is counted.
MAX_NAMELESS = 100


class WaitedLongEnough(Exception):
    """Others hold what a request needs for longer than it may wait."""


class UsageController(http.Controller):
    @metering_route("/reseller_billing/v1/usage", max_content_length=MAX_BODY)
    @answers_json
    def usage(self):
        """Take usage events of the key's owner's company in, all in one transaction.

        The body has one of the formats of `reseller.usage.reader`, as its Content-Type says, and
        may be packed with gzip. The answer is that of `reseller.usage.line.ingest`. Where the body
        as a whole cannot be read, nothing of it is stored.
        """
        lines = request.env["reseller.usage.line"]
        lines._check_may_send()
        sender = Sender()
        sender.count_request()
        name, packed, body = self._get_body()
        # A cursor of its own: its transaction sees what others commit meanwhile.
        with request.env.registry.cursor() as cr:
            env = request.env(cr=cr)
            try:
                outcome = retrying(partial(self._take, env, name, packed, body, sender), env)
            except WaitedLongEnough as error:
                raise make_busy() from error
        sender.count_rejected(len(outcome["rejected"]))
        return outcome

    def _get_body(self):
        """Return (format, whether it is packed, the body as bytes) of the request."""
        asked = request.httprequest
        formats = request.env["reseller.usage.reader"]._get_formats()
        if asked.mimetype not in formats:
            raise UnsupportedMediaType(
                request.env._("Send one of these content types: %s", ", ".join(sorted(formats)))
            )
        encoding = (asked.headers.get("Content-Encoding") or "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise UnsupportedMediaType(request.env._("Send the body as it is, or in gzip."))
        if asked.content_length is None:
            raise LengthRequired(request.env._("Send the body with its Content-Length."))
        if asked.content_length > MAX_BODY:
            raise RequestEntityTooLarge(
                request.env._("The body is larger than %s MiB: send it in parts.", MAX_BODY >> 20)
            )
        return formats[asked.mimetype], encoding == "gzip", asked.get_data()

    def _take(self, env, name, packed, body, sender):
        """Take a body in and return the outcome, as `reseller.usage.line.ingest` does.

        It is read batch by batch, and stored at once. An event that has an id and a source is always
        kept, as a rejection if need be, or the whole body is refused. Of others the first ones are
        kept, and how many more there were.
        """
        try:
            return self._take_body(env, name, packed, body, sender)
        except LockNotAvailable as error:
            # It is not tried once more here: that would keep a server's process from all others.
            raise WaitedLongEnough from error

    def _take_body(self, env, name, packed, body, sender):
        """See _take."""
        read_committed(env.cr, USAGE_PATIENCE)
        lines = env["reseller.usage.line"]
        intake = lines._open_intake()
        rejected = []
        taken = nameless = passed_over = 0
        for batch in split_every(BATCH, self._read_body(env, name, packed, body), list):
            if taken + len(batch) > MAX_EVENTS:
                raise RequestEntityTooLarge(
                    env._("The body has more than %s events: send it in parts.", MAX_EVENTS)
                )
            kept = []
            for index, event in enumerate(batch):
                if not lines._has_key(event):
                    nameless += 1
                    if nameless > MAX_NAMELESS:
                        passed_over = passed_over or taken + index
                        continue
                kept.append(index)
            positions = [taken + index for index in kept]
            events = [batch[index] for index in kept]
            rejected += lines._stage(intake, events, positions=positions)
            sender.check_rejected(len(rejected) + max(nameless - MAX_NAMELESS, 0))
            taken += len(batch)
        if not taken:
            raise UserError(env._("The body has no events."))
        if nameless > MAX_NAMELESS:
            reason = env._("%s further events have no id and source.", nameless - MAX_NAMELESS)
            further = UnreadableEvent(str(uuid.uuid4()), reason)
            rejected += lines._stage(intake, [further], positions=[passed_over])
        accepted, duplicates, conflicts = lines._store_staged(intake)
        if conflicts:
            # They are read once more: a body is not kept as events.
            wanted = set(conflicts)
            events = enumerate(self._read_body(env, name, packed, body))
            rejected += lines._reject_conflicts(
                intake, {index: event for index, event in events if index in wanted}
            )
            sender.check_rejected(len(rejected) + max(nameless - MAX_NAMELESS, 0))
        rejected.sort(key=lambda entry: entry["index"])
        return {"accepted": accepted, "duplicates": duplicates, "rejected": rejected}

    def _read_body(self, env, name, packed, body):
        return env["reseller.usage.reader"]._read(name, io.BytesIO(body), packed)
