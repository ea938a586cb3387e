import re
from datetime import timedelta
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import AccessError, ConcurrencyError, UserError
from odoo.tools import SQL
from odoo.tools.misc import format_date

# A moment as RFC 3339 writes it; without an offset it gets a reason of its own.
RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# Quantities fit NUMERIC with room to spare; more is a broken meter, not use.
MAX_QUANTITY = Decimal(10) ** 24
MAX_DECIMALS = 30
# Of ids, sources and codes; what an index entry can hold in any script.
MAX_LENGTH = 255
MAX_PROPERTIES = 65536
# Of a reason, which may repeat what came from outside.
MAX_REASON = 500
# How far a meter's clock may be ahead.
AHEAD = timedelta(days=1)
ZERO_CHARACTER = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
COLUMNS = (
    "position",
    "client_id",
    "feature_id",
    "level_id",
    "quantity",
    "occurred_at",
    "billing_date",
    "source",
    "external_id",
    "corrects",
    "is_late",
    "properties",
    "import_id",
)
# Of an event `line`: its source and id are taken. As the index says it, so that this is found by it.
KEYED = SQL("line.is_released IS NOT TRUE")
# Of what keeps events from being voided: so many are named.
NAMED = 10
# So many rows of a new table the planner has to be told of.
MANY = 5000
# So many events wait in memory until they are stored; more are laid into a table.
AT_HAND = 20_000


class Refusal(ValueError):
    """Why an event cannot be taken: in words, and by its kind, see reseller.usage.rejection."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


class Scope:
    """What an import replaces of the use that is there: its condition, and what became of it."""

    def __init__(self, condition):
        """Describe a scope.

        :param condition: SQL on `line`, an event that is there or comes
        """
        self.condition = condition
        self.exchanged = 0


class GuardedMany2one(fields.Many2one):
    """A many2one without a foreign key: the daily bucket's keys guard the raw lines as well.

    Two foreign keys would cost nearly half of the speed of taking usage in.
    """

    def update_db_foreign_key(self, model, column):
        return


class ResellerUsageLine(models.Model):
    _name = "reseller.usage.line"
    _description = "Usage Event"
    _order = "occurred_at desc, id desc"
    _log_access = False
    _rec_name = "external_id"

    company_id = GuardedMany2one("res.company", required=True, readonly=True)
    client_id = GuardedMany2one("reseller.client", required=True, readonly=True)
    feature_id = GuardedMany2one("reseller.feature", required=True, readonly=True)
    level_id = GuardedMany2one("reseller.feature.level", readonly=True)
    quantity = fields.Float(required=True, readonly=True, min_display_digits=0)
    occurred_at = fields.Datetime(required=True, readonly=True, help="UTC.")
    billing_date = fields.Date(
        required=True, readonly=True, help="The day of the event in the client's time zone."
    )
    source = fields.Char(required=True, readonly=True)
    external_id = fields.Char(string="Event ID", required=True, readonly=True)
    corrects = fields.Char(
        readonly=True, help="The id of the event that this one corrects, of the same source."
    )
    is_late = fields.Boolean(
        string="Late", readonly=True, help="The day was billed already when the event came in."
    )
    voided_at = fields.Datetime(
        string="Voided", readonly=True, help="The event counts no more since then."
    )
    is_released = fields.Boolean(
        string="May Be Sent Again",
        readonly=True,
        help="Of a voided event: its ID is free, so that another event can have it.",
    )
    properties = fields.Json(readonly=True)
    import_id = GuardedMany2one(
        "reseller.usage.import",
        string="From File",
        readonly=True,
        help="The import that brought the event.",
    )

    _live_event_uniq = models.UniqueIndex(
        "(company_id, source, external_id) WHERE is_released IS NOT TRUE",
        "This event is stored already.",
    )
    _import = models.Index("(import_id) WHERE import_id IS NOT NULL")
    _client_day = models.Index("(client_id, billing_date)")
    # Finds what corrected an event already.
    _corrections = models.Index("(company_id, source, corrects) WHERE corrects IS NOT NULL")

    def _describe_news(self):
        """Return this event in words, for who waits for it."""
        self.ensure_one()
        return self.env._(
            "%(quantity)s × %(feature)s of %(client)s on %(day)s",
            quantity=self._get_exact_quantities()[self.id],
            feature=self.feature_id.name,
            client=self.client_id.display_name,
            day=format_date(self.env, self.billing_date),
        )

    def _get_exact_quantities(self):
        """Return {id: quantity as an exact decimal string}."""
        return dict(
            self.env.execute_query(
                SQL(
                    "SELECT id, trim_scale(quantity)::text FROM reseller_usage_line WHERE id = ANY(%s)",
                    self.ids,
                )
            )
        )

    # Append-only: events enter by `ingest` alone

    def _raise_append_only(self):
        raise UserError(
            self.env._(
                "Usage events are facts: they enter by ingest() and are never changed. "
                "Void an event that never happened, or send one with a negative quantity."
            )
        )

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        return self._raise_append_only()

    def write(self, vals):  # pylint: disable=method-required-super
        return self._raise_append_only()

    def unlink(self):  # pylint: disable=method-required-super
        return self._raise_append_only()

    # Voiding

    @api.model
    def _get_oldest_day(self, company):
        """Return the first day of the window in which billed days take late and voided use."""
        # Of a company, Odoo would read all else with it.
        days = company.with_context(prefetch_fields=False).reseller_late_days
        return fields.Date.subtract(fields.Date.today(), days=days)

    # Taking usage in

    @api.model
    def ingest(self, events: list[dict]) -> dict:
        """Take a batch of usage events of the current company.

        :param list events: dicts with ``id``, ``source``, ``client`` (a client's reference),
            ``feature`` (a code), ``time`` (RFC 3339 with offset), ``quantity`` (a number or a decimal
            string; negative: a correction) and optionally ``level`` (a code), ``corrects`` (the id
            of an event of the same source, whose day and level this one takes) and ``properties``
        :return: ``{"accepted": n, "duplicates": n, "rejected": [{"index", "id", "reason"}]}``;
            valid events are stored even when others of the batch are not, and rejected ones are kept
            as rejections, to be mended and replayed
        :raise AccessError: without the group Usage Ingestion
        """
        self._check_may_send()
        if not isinstance(events, list):
            raise UserError(self.env._("Usage comes as a list of events."))
        return self._ingest(events)

    def _check_may_send(self):
        if not self.has_access("create"):
            raise AccessError(
                self.env._("Only members of the group Usage Ingestion may send usage.")
            )

    def _ingest(self, events, kept=None, scope=None):
        """Take a batch of events; see `ingest`. Never catches a serialization failure.

        :param kept: for each event, values of its rejection should it be rejected
        :param scope: the open Scope that the events replace, see `_open_scope`
        """
        intake = self._open_intake()
        rejected = self._stage(intake, events, kept)
        accepted, duplicates, conflicts = self._store_staged(intake, scope)
        conflicting = {index: events[index] for index in conflicts}
        rejected += self._reject_conflicts(intake, conflicting, kept)
        if rejected and scope:
            # What cannot be taken in as it comes now stays as it came before.
            self._mark_delivered([events[entry["index"]] for entry in rejected])
        return {
            "accepted": accepted,
            "duplicates": duplicates,
            "rejected": sorted(rejected, key=lambda entry: entry["index"]),
        }

    def _stage(self, intake, events, kept=None, positions=None):
        """Read events into an intake; `_store_staged` stores them all.

        :param kept: see `_ingest`
        :param positions: the index of each event in what was sent; as they come where None
        :return: what is rejected, and kept as such, as `ingest` has it
        """
        company = self.env.company.sudo()  # who sends reads no settings
        positions = positions or range(len(events))
        rows, rejected = self._parse_events(events, company, intake)
        if rows:
            imports = [vals.get("import_id") or None for vals in kept or [{}] * len(events)]
            intake.rows += [(positions[index], *row, imports[index]) for index, row in rows]
            if intake.is_laid or len(intake.rows) > AT_HAND:
                self._lay_down(intake)
        if rejected:
            intake.refused += self.env["reseller.usage.rejection"]._keep(
                company,
                [
                    (
                        events[index],
                        {"reason": reason, "kind": kind, **(kept[index] if kept else {})},
                    )
                    for index, reason, kind in rejected
                ],
            )
        return [
            {"index": positions[index], "id": _event_id(events[index]), "reason": reason}
            for index, reason, _kind in rejected
        ]

    def _store_staged(self, intake, scope=None):
        """Store all events of an intake, at once and in the order of their keys.

        :param scope: see `_ingest`
        :return: (how many were stored, how many were there already, the indices of those that were
            there with other content)
        """
        company = self.env.company.sudo()  # as in _stage
        rejections = self.env["reseller.usage.rejection"]
        at_hand = not (scope or intake.is_laid)
        if at_hand and (not intake.rows or self._store_at_hand(company, intake)):
            rejections._close_taken_in(company, intake)
            self.env["reseller.usage.daily"].invalidate_model()
            return len(intake.rows), 0, []
        self._lay_down(intake)
        if scope:
            self._exchange(company, scope)
        [(staged, of_file)] = self.env.execute_query(
            SQL("SELECT count(*), count(import_id) > 0 FROM reseller_usage_batch")
        )
        if not staged:
            return 0, 0, []
        if staged > MANY:
            self.env.cr.execute("ANALYZE reseller_usage_batch")
        [(accepted,)] = self.env.execute_query(self._store_events_sql(company))
        if accepted:
            rejections._close_taken_in(company, intake)
        conflicts = []
        if accepted < staged:
            rows = self.env.execute_query(self._conflicts_sql(company, of_file))
            conflicts = [index for (index,) in rows]
            self._check_corrected(company)
        self.env["reseller.usage.daily"].invalidate_model()
        return accepted, staged - accepted - len(conflicts), conflicts

    def _check_corrected(self, company):
        """Have it all done once more where an event that is corrected here came from somebody else meanwhile.

        :raise ConcurrencyError: see above
        """
        [(other,)] = self.env.execute_query(
            SQL(
                """
                SELECT EXISTS (
                    SELECT FROM reseller_usage_batch batch
                      JOIN reseller_usage_line line
                        ON line.company_id = %s
                       AND line.source = batch.source
                       AND line.external_id = batch.corrects
                       AND %s
                     WHERE (line.client_id, line.feature_id, line.level_id, line.billing_date)
                           IS DISTINCT FROM
                           (batch.client_id, batch.feature_id, batch.level_id, batch.billing_date))
                """,
                company.id,
                KEYED,
            )
        )
        if other:
            raise ConcurrencyError(
                "An event that is corrected was stored by somebody else meanwhile"
            )

    def _reject_conflicts(self, intake, events, kept=None):
        """Keep events as rejected that are stored with other content; return them as `ingest` has it.

        :param intake: that they are of
        :param events: {index: event}
        :param kept: see `_ingest`
        """
        if not events:
            return []
        reason = self.env._("This event is stored already, with other content.")
        intake.refused += self.env["reseller.usage.rejection"]._keep(
            self.env.company,
            [
                (
                    event,
                    {"reason": reason, "kind": "conflict", **(kept[index] if kept else {})},
                )
                for index, event in events.items()
            ],
        )
        return [
            {"index": index, "id": _event_id(event), "reason": reason}
            for index, event in events.items()
        ]


def _lookup(table, key):
    """Look up a key that comes from outside and may be of any type."""
    try:
        return table.get(key)
    except TypeError:
        return None


def _holds(service, day):
    """Whether spans of days, open ones with None for their end, hold a day."""
    return any(first <= day and (last is None or day <= last) for first, last in service)


def _event_id(event):
    found = event.get("id") if isinstance(event, dict) else None
    return _printable(found[:MAX_LENGTH]) if isinstance(found, str) else None


def _as_number(value):
    """Return a Decimal of an event's properties as the number that JSON has for it."""
    if type(value) is not Decimal:
        raise TypeError(type(value).__name__)
    return float(value)


def _printable(text):
    """Return a text that may repeat what came from outside as one that PostgreSQL can hold."""
    return text.replace("\0", "").encode(errors="replace").decode()[:MAX_REASON]


def _is_key(value):
    """Whether a value from outside is a text that PostgreSQL can hold in an index."""
    if type(value) is not str or not 0 < len(value) <= MAX_LENGTH or "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True
