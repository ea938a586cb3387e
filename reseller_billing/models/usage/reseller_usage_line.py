import csv
import io
import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from .reseller_usage_reader import UnreadableEvent

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

    def action_void(self):
        """Let events and their corrections count no more (rating 14).

        What they were billed at is given back with the next bill.

        :raise UserError: when a day is billed and lies outside the window for late usage
        :raise AccessError: without the group Billing Manager
        """
        self._void_selected(released=False)

    def action_void_released(self):
        """Let events count no more, as `action_void` does, and be sent again under their IDs."""
        self._void_selected(released=True)

    def _void_selected(self, released):
        self.env["res.users"]._check_billing_manager()
        self.check_access("read")
        for company, events in self.grouped("company_id").items():
            live = events.filtered(lambda one: not one.voided_at)
            events._void(company, SQL("line.id = ANY(%s)", events.ids), released)
            live._log_voided()

    def _log_voided(self):
        """Note on each account which of its events somebody has voided."""
        bodies = {}
        for client, events in self.grouped("client_id").items():
            names = events[:NAMED].mapped("external_id")
            more = len(events) - len(names)
            names += [self.env._("and %s more", more)] if more else []
            bodies[client.id] = self.env._(
                "Usage events voided, with their corrections: %s", ", ".join(names)
            )
        clients_sudo = self.client_id.sudo()  # who may void need not write on accounts
        clients_sudo._message_log_batch(bodies)

    @api.model
    def _void(self, company, condition, released, spared=None):
        """Void the events of a company that meet a condition, and their corrections.

        :param condition: SQL on `line`, a row of this table; what is voided is left as it is
        :param released: whether their ids may come again, as other events
        :param spared: SQL on `line` for corrections that stay
        :return: the number of events
        :raise UserError: see `action_void`
        """
        # A correction may be corrected in its turn.
        picked = SQL(
            """
            WITH RECURSIVE found AS (
                SELECT line.id, line.company_id, line.source, line.external_id
                  FROM reseller_usage_line line
                 WHERE line.company_id = %(company)s AND line.voided_at IS NULL
                   AND (%(condition)s)
                 UNION
                SELECT line.id, line.company_id, line.source, line.external_id
                  FROM found
                  JOIN reseller_usage_line line
                    ON line.company_id = found.company_id
                   AND line.source = found.source
                   AND line.corrects = found.external_id
                   AND line.voided_at IS NULL
                 WHERE NOT (%(spared)s)
            )
            SELECT line.*
              FROM found
              JOIN reseller_usage_line line ON line.id = found.id
            """,
            company=company.id,
            condition=condition,
            spared=spared or SQL("FALSE"),
        )
        self.env.flush_all()
        self._check_may_void(company, picked)
        self.env.cr.execute(
            SQL(
                """
                WITH picked AS (%(picked)s), voided AS (
                    UPDATE reseller_usage_line line
                       SET voided_at = now() AT TIME ZONE 'UTC', is_released = %(released)s
                      FROM picked
                     WHERE line.id = picked.id
                    RETURNING line.id
                ), sums AS (
                    SELECT line.client_id, line.feature_id, line.level_id, line.billing_date,
                           COALESCE(sum(line.quantity) FILTER (WHERE counts), 0) AS quantity,
                           count(*) FILTER (WHERE counts) AS event_count,
                           max(line.quantity) FILTER (WHERE counts) AS max_quantity,
                           (array_agg(line.quantity ORDER BY line.occurred_at DESC, line.id DESC)
                               FILTER (WHERE counts))[1] AS last_quantity,
                           max(line.occurred_at) FILTER (WHERE counts) AS last_at
                      FROM (SELECT DISTINCT client_id, feature_id, level_id, billing_date
                              FROM picked) AS bucket
                      JOIN reseller_usage_line line
                        ON line.client_id = bucket.client_id
                       AND line.feature_id = bucket.feature_id
                       AND line.level_id IS NOT DISTINCT FROM bucket.level_id
                       AND line.billing_date = bucket.billing_date
                      LEFT JOIN picked gone ON gone.id = line.id
                     CROSS JOIN LATERAL (
                        SELECT line.voided_at IS NULL AND gone.id IS NULL AS counts) AS one
                     GROUP BY line.client_id, line.feature_id, line.level_id, line.billing_date
                ), bucketed AS (
                    UPDATE reseller_usage_daily bucket
                       SET quantity = sums.quantity, event_count = sums.event_count,
                           max_quantity = sums.max_quantity, last_quantity = sums.last_quantity,
                           last_at = sums.last_at, statement_id = NULL, former_statement_id = NULL,
                           preview_id = NULL
                      FROM sums
                     WHERE bucket.client_id = sums.client_id
                       AND bucket.feature_id = sums.feature_id
                       AND bucket.level_id IS NOT DISTINCT FROM sums.level_id
                       AND bucket.billing_date = sums.billing_date
                )
                SELECT count(*) FROM voided
                """,
                picked=picked,
                released=released,
            )
        )
        [(count,)] = self.env.cr.fetchall()
        self.invalidate_model(["voided_at", "is_released"])
        self.env["reseller.usage.daily"].invalidate_model()
        return count

    def _check_may_void(self, company, picked):
        """Raise a UserError that names what keeps events from being voided.

        :param picked: the query for the events
        """
        oldest = self._get_oldest_day(company)
        billed = self.env.execute_query(
            SQL(
                """
                SELECT client.name, min(line.billing_date), max(line.billing_date)
                  FROM (%s) line
                  JOIN reseller_client client ON client.id = line.client_id
                 WHERE line.billing_date <= client.billed_until AND line.billing_date < %s
                 GROUP BY client.id
                 ORDER BY client.id
                 LIMIT %s
                """,
                picked,
                oldest,
                NAMED,
            )
        )
        if billed:
            raise UserError(
                self.env._(
                    "Days before %(oldest)s are outside the window for late usage, and these are "
                    "billed already: credit them by hand.\n%(days)s",
                    oldest=oldest,
                    days="\n".join(
                        f"{name}: {first}" if first == last else f"{name}: {first} – {last}"
                        for name, first, last in billed
                    ),
                )
            )

    @api.model
    def _find_sent(self, company, source, external_id):
        """Return the event of a company that has a source and id, also a voided one that keeps it."""
        found = self.env.execute_query(
            SQL(
                "SELECT line.id FROM reseller_usage_line line WHERE line.company_id = %s"
                " AND line.source = %s AND line.external_id = %s AND %s",
                company.id,
                source,
                external_id,
                KEYED,
            )
        )
        return self.browse(one for (one,) in found)

    @api.model
    def _get_oldest_day(self, company):
        """Return the first day of the window in which billed days take late and voided use."""
        return fields.Date.subtract(fields.Date.today(), days=company.reseller_late_days)

    # Replacing

    @api.model
    def _open_scope(self, company, condition):
        """Begin to replace the use of a company that meets a condition; return the Scope.

        Batches are taken in with it, and `_close_scope` ends it, all in one transaction.

        :param condition: SQL on `line`, see Scope
        """
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                CREATE TEMPORARY TABLE IF NOT EXISTS reseller_usage_scope (
                    id integer, source varchar, external_id varchar, client_id integer
                ) ON COMMIT DELETE ROWS;
                CREATE TEMPORARY TABLE IF NOT EXISTS reseller_usage_delivered (
                    source varchar, external_id varchar, client_id integer
                ) ON COMMIT DELETE ROWS;
                TRUNCATE reseller_usage_scope, reseller_usage_delivered;
                INSERT INTO reseller_usage_scope
                SELECT line.id, line.source, line.external_id, line.client_id
                  FROM reseller_usage_line line
                 WHERE line.company_id = %s AND line.voided_at IS NULL AND (%s);
                ANALYZE reseller_usage_scope
                """,
                company.id,
                condition,
            )
        )
        return Scope(condition)

    def _exchange(self, company, scope):
        """Void what the batch has with other content, so that it can be stored as it comes now.

        :raise UserError: when an event of the batch lies outside the scope
        """
        [(outside,)] = self.env.execute_query(
            SQL(
                "SELECT count(*) FROM reseller_usage_batch line WHERE (%s) IS NOT TRUE",
                scope.condition,
            )
        )
        if outside:
            raise UserError(
                self.env._(
                    "%s rows are outside of what the file replaces: widen its days, clients or "
                    "features, or leave the rows out.",
                    outside,
                )
            )
        self.env.cr.execute(
            """
            INSERT INTO reseller_usage_delivered
            SELECT source, external_id, client_id FROM reseller_usage_batch
            """
        )
        changed = SQL(
            """
            line.id IN (
                SELECT line.id
                  FROM reseller_usage_batch batch
                  JOIN reseller_usage_scope scope USING (source, external_id)
                  JOIN reseller_usage_line line ON line.id = scope.id
                 WHERE %s)
            """,
            self._differs_sql(of_file=True),
        )
        spared = SQL(
            """
            EXISTS (SELECT FROM reseller_usage_delivered delivered
                     WHERE delivered.source = line.source
                       AND delivered.external_id = line.external_id)
            """
        )
        scope.exchanged += self._void(company, changed, released=True, spared=spared)

    def _mark_delivered(self, events):
        """Note the keys of events that were delivered and rejected."""
        keys = [event for event in events if self._has_key(event)]
        self.env.cr.execute(
            SQL(
                "INSERT INTO reseller_usage_delivered SELECT * FROM unnest(%s::varchar[], %s::varchar[])",
                [event["source"] for event in keys],
                [event["id"] for event in keys],
            )
        )

    def _close_scope(self, company):
        """Void what is in the open scope and was not delivered.

        :return: (number of events, names of the clients of which nothing was delivered)
        :raise UserError: when nothing was delivered at all
        """
        [(delivered,)] = self.env.execute_query(
            SQL("SELECT count(client_id) FROM reseller_usage_delivered")
        )
        if not delivered:
            raise UserError(
                self.env._(
                    "No row of the file can be taken in, so that it replaces nothing: to take all use "
                    "back, undo the import that brought it."
                )
            )
        self.env.cr.execute("ANALYZE reseller_usage_delivered")
        names = self.env.execute_query(
            SQL(
                """
                SELECT client.name
                  FROM reseller_usage_scope scope
                  LEFT JOIN reseller_usage_delivered delivered USING (source, external_id)
                  JOIN reseller_client client ON client.id = scope.client_id
                 WHERE NOT EXISTS (SELECT FROM reseller_usage_delivered other
                                    WHERE other.client_id = client.id)
                 GROUP BY client.id
                HAVING count(delivered.source) = 0
                 ORDER BY client.name, client.id
                """
            )
        )
        gone = SQL(
            """
            line.id IN (
                SELECT scope.id
                  FROM reseller_usage_scope scope
                  LEFT JOIN reseller_usage_delivered delivered USING (source, external_id)
                 WHERE delivered.source IS NULL)
            """
        )
        return self._void(company, gone, released=True), [name for (name,) in names]

    # Taking usage in

    @api.model
    def ingest(self, events):
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
        company = self.env.company.sudo()  # who sends reads no settings
        rows, rejected = self._parse_events(events, company)
        accepted, duplicates = 0, 0
        if rows:
            imports = [one.get("import_id") or None for one in kept or [{}] * len(events)]
            self._copy_events([(*row, imports[row[0]]) for row in rows])
            if scope:
                self._exchange(company, scope)
            [(accepted,)] = self.env.execute_query(self._store_events_sql(company))
            if accepted:
                self.env["reseller.usage.rejection"]._close_taken_in(company)
            duplicates = len(rows) - accepted
            if duplicates:
                of_file = any(one.get("import_id") for one in kept or ())
                conflicts = self.env.execute_query(self._conflicts_sql(company, of_file))
                duplicates -= len(conflicts)
                reason = self.env._("This event is stored already, with other content.")
                rejected += [(index, reason, "conflict") for (index,) in conflicts]
            self.env["reseller.usage.daily"].invalidate_model()
        rejected.sort()
        if rejected and scope:
            # What cannot be taken in as it comes now stays as it came before.
            self._mark_delivered([events[index] for index, _reason, _kind in rejected])
        if rejected:
            self.env["reseller.usage.rejection"]._keep(
                company,
                [
                    (
                        events[index],
                        {"reason": reason, "kind": kind, **(kept[index] if kept else {})},
                    )
                    for index, reason, kind in rejected
                ],
            )
        return {
            "accepted": accepted,
            "duplicates": duplicates,
            "rejected": [
                {"index": index, "id": _event_id(events[index]), "reason": reason}
                for index, reason, _kind in rejected
            ],
        }

    def _parse_events(self, events, company):
        """Return (rows, rejected): rows in the order of COLUMNS, (index, reason, kind)."""
        clients, features, levels = self._load_codes(events, company)
        corrected = self._load_corrected(events, company)
        limits = self._get_oldest_day(company), datetime.now(UTC) + AHEAD
        permit = self.env["reseller.usage.key"]._get_current()._get_permit()
        zones, rows, rejected = {}, [], []
        for index, event in enumerate(events):
            try:
                self._check_permit(event, permit)
                row = self._parse_event(
                    event,
                    clients,
                    features,
                    levels,
                    corrected,
                    zones,
                    limits,
                    permit.may_correct,
                )
                if corrected is not None:
                    self._take_from_corrected(row, corrected)
            except Refusal as error:
                rejected.append((index, _printable(str(error)), error.kind))
                continue
            rows.append((index, *row))
        return rows, rejected

    @api.model
    def _has_key(self, event):
        """Whether an event from outside has an id and a source, by which it is known again."""
        return type(event) is dict and _is_key(event.get("id")) and _is_key(event.get("source"))

    def _check_permit(self, event, permit):
        """Refuse what the key by which events come may not send.

        :param permit: a Permit of reseller.usage.key
        """
        if type(event) is not dict:
            return
        source = event.get("source")
        if permit.sources and not (type(source) is str and source in permit.sources):
            raise Refusal("key", self.env._("The key may not send events of source %s.", source))
        if not permit.may_correct and event.get("corrects"):
            raise Refusal("key", self.env._("The key may not send corrections."))

    def _take_from_corrected(self, row, corrected):
        """Count a correction off what is left of its event; refuse one that is more than that.

        The corrections of one event together leave zero at least (rating 14).

        :param row: the correction, or another event, as a row
        :param corrected: as of `_load_corrected`, which it updates
        """
        client, feature, level, quantity, _time, day, source, external_id, corrects, *_rest = row
        key = (source, external_id)
        if key not in corrected:
            corrected[key] = [client, feature, level, day, max(quantity, Decimal(0)), set()]
        if not corrects or quantity >= 0:
            return
        found = corrected[source, corrects]
        if external_id in found[5]:
            return  # it is counted already
        if found[4] + quantity < 0:
            raise Refusal(
                "corrects",
                self.env._(
                    "Of the event %(number)s only %(left)s are left to correct.",
                    number=corrects,
                    left=f"{found[4]:f}",
                ),
            )
        found[4] += quantity
        found[5].add(external_id)

    def _parse_event(
        self, event, clients, features, levels, corrected, zones, limits, may_correct=True
    ):
        """Return one event as a row; raise Refusal with the reason if it cannot be taken.

        :param limits: the first day that takes late use, and the last moment of any
        """
        if type(event) is not dict:
            unread = self.env._("An event is an object with named values.")
            raise Refusal(
                "unreadable", event.reason if isinstance(event, UnreadableEvent) else unread
            )
        external_id, source = event.get("id"), event.get("source")
        if not _is_key(external_id):
            raise Refusal(
                "id", self.env._("The event's id is no text of 1 to %s characters.", MAX_LENGTH)
            )
        if not _is_key(source):
            raise Refusal(
                "id", self.env._("The event's source is no text of 1 to %s characters.", MAX_LENGTH)
            )
        client = _lookup(clients, event.get("client"))
        if not client:
            text = self.env._("There is no client with reference %s.", event.get("client"))
            raise Refusal("client", self._explain_unknown(text, event.get("client")))
        feature = _lookup(features, event.get("feature"))
        if not feature:
            text = self.env._("There is no feature with code %s.", event.get("feature"))
            raise Refusal("feature", self._explain_unknown(text, event.get("feature")))
        level = event.get("level")
        if level:
            level = _lookup(levels, (feature, level))
            if not level:
                raise Refusal(
                    "level",
                    self.env._(
                        "The feature %(feature)s has no level with code %(level)s.",
                        feature=event["feature"],
                        level=event["level"],
                    ),
                )
        oldest, latest = limits
        occurred_at = self._parse_time(event.get("time"), latest)
        quantity = self._parse_quantity(event.get("quantity"))
        if quantity < 0 and not may_correct:
            raise Refusal("key", self.env._("The key may not send negative use."))
        properties = event.get("properties")
        if properties is not None:
            # An empty object says as much as none.
            properties = self._parse_properties(properties) if properties != {} else None
        account, day, served = self._find_account(event, client, occurred_at, corrected, zones)
        client_id, _tz, service, billed_until, starts, locked_at = account
        corrects = event.get("corrects") or None
        if corrects:
            level, day = self._find_corrected(event, corrected, client_id, feature)
            served = _holds(service, day)
        if starts and day < starts:
            raise Refusal(
                "service",
                self.env._(
                    "The client %(client)s is billed here from %(day)s on: "
                    "earlier use is another system's.",
                    client=event["client"],
                    day=starts,
                ),
            )
        if not served:
            raise Refusal(
                "service",
                self.env._(
                    "The client %(client)s is not served on %(day)s.",
                    client=event["client"],
                    day=day,
                ),
            )
        moment = occurred_at.astimezone(UTC).replace(tzinfo=None)
        if locked_at and moment >= locked_at and not corrects:
            raise Refusal(
                "locked",
                self.env._(
                    "The client %(client)s is locked out since %(since)s UTC: once it is not, this "
                    "can be taken in.",
                    client=event["client"],
                    since=locked_at.replace(microsecond=0),
                ),
            )
        is_late = bool(billed_until and day <= billed_until)
        if is_late and day < oldest:
            raise Refusal(
                "late",
                self.env._(
                    "%(day)s is billed already and lies outside the window for late usage, "
                    "which begins on %(oldest)s.",
                    day=day,
                    oldest=oldest,
                ),
            )
        return (
            client_id,
            feature,
            level or None,
            quantity,
            moment,
            day,
            source,
            external_id,
            corrects,
            is_late,
            properties,
        )

    def _explain_unknown(self, text, name):
        """Return why a name is not known; with what cannot be seen in it, if that may be why."""
        plain = unicodedata.normalize("NFC", name).strip() if type(name) is str else name
        if plain == name:
            return text
        return self.env._(
            "%(text)s It has blanks at its ends, or accents as characters of their own (Unicode NFD): "
            "send it as it is written here.",
            text=text,
        )

    def _find_account(self, event, accounts, occurred_at, corrected, zones):
        """Return (account, day, whether it is served then) of an event.

        Of the accounts that have borne its client's reference that is the account of the event that
        it corrects, or the one that is served on its day.
        """
        found = None
        if corrected and event.get("corrects"):
            found = _lookup(corrected, (event["source"], event["corrects"]))
        for account in accounts:
            zone = zones.get(account[1])
            if zone is None:
                zone = zones[account[1]] = ZoneInfo(account[1])
            day = occurred_at.astimezone(zone).date()
            if found:
                if account[0] == found[0]:
                    break
            elif _holds(account[2], day):
                return account, day, True
        return account, day, False

    def _find_corrected(self, event, corrected, client, feature):
        """Return (level, day) of the event that an event corrects; raise Refusal without one."""
        found = _lookup(corrected, (event["source"], event["corrects"]))
        if not found:
            raise Refusal(
                "corrects",
                self.env._(
                    "There is no event %(number)s from %(origin)s to correct.",
                    number=event["corrects"],
                    origin=event["source"],
                ),
            )
        if found[:2] != [client, feature]:
            raise Refusal(
                "corrects",
                self.env._(
                    "The event %s to correct is of another client or feature.", event["corrects"]
                ),
            )
        # The group Usage Ingestion sends events, but reads no features.
        feature_sudo = self.env["reseller.feature"].sudo().browse(feature)
        if feature_sudo.aggregation in ("max", "last"):
            raise Refusal(
                "corrects",
                self.env._(
                    "%s is billed by its highest or last value: void the wrong event instead.",
                    event["feature"],
                ),
            )
        return found[2:4]

    def _load_corrected(self, events, company):
        """Return {(source, id): [client, feature, level, day, left, ids]} of events that others
        correct: what their corrections have left of their quantity, and the ids of corrections that
        are counted off it.

        None where no event corrects another.
        """
        correcting = [event for event in events if type(event) is dict and event.get("corrects")]
        if not correcting:
            return None
        keys = {
            (event.get("source"), event["corrects"])
            for event in correcting
            if _is_key(event.get("source")) and _is_key(event["corrects"])
        }
        return {
            (source, number): [*row, max(Decimal(left), Decimal(0)), set(ids)]
            for source, number, *row, left, ids in self.env.execute_query(
                SQL(
                    """
                    SELECT line.source, line.external_id, line.client_id, line.feature_id,
                           line.level_id, line.billing_date,
                           (line.quantity + COALESCE(made.quantity, 0))::text,
                           COALESCE(made.ids, '{}')
                      FROM unnest(%s::varchar[], %s::varchar[]) AS wanted (source, external_id)
                      JOIN reseller_usage_line line
                        ON line.company_id = %s
                       AND line.source = wanted.source
                       AND line.external_id = wanted.external_id
                       AND line.voided_at IS NULL
                       AND %s
                      LEFT JOIN LATERAL (
                           SELECT sum(other.quantity) AS quantity,
                                  array_agg(other.external_id) AS ids
                             FROM reseller_usage_line other
                            WHERE other.company_id = line.company_id
                              AND other.source = line.source
                              AND other.corrects = line.external_id
                              AND other.voided_at IS NULL
                           ) made ON TRUE
                    """,
                    [source for source, _number in keys],
                    [number for _source, number in keys],
                    company.id,
                    KEYED,
                )
            )
        }

    def _parse_time(self, value, latest):
        try:
            day, clock, seconds, fraction, offset = RFC3339.fullmatch(value).groups()
            if seconds == "60" and clock.endswith(":59:"):
                seconds = "59"  # a leap second belongs to the day that it ends
            micros = (fraction or ".")[1:7].ljust(6, "0")  # PostgreSQL keeps no more
            zone = "+00:00" if offset in ("Z", "z") else offset or ""
            moment = datetime.fromisoformat(f"{day}T{clock}{seconds}.{micros}{zone}")
        except (ValueError, TypeError, AttributeError) as error:
            raise Refusal(
                "time",
                self.env._("The time %s is not RFC 3339, such as 2026-01-31T23:59:59Z.", value),
            ) from error
        if not offset:
            raise Refusal("time", self.env._("The time %s has no offset from UTC.", value))
        if not 1970 <= moment.year <= 2500:
            raise Refusal("time", self.env._("The time %s is out of range.", value))
        if moment > latest:
            raise Refusal(
                "time", self.env._("The time %s lies in the future: mend the meter's clock.", value)
            )
        return moment

    def _parse_quantity(self, value):
        if type(value) is int and abs(value) < MAX_QUANTITY:
            return Decimal(value)
        if type(value) is float:
            value = repr(value)
        if type(value) not in (int, str, Decimal):
            raise Refusal(
                "quantity", self.env._("The event has no quantity as a number or decimal text.")
            )
        if type(value) is str and not DECIMAL.fullmatch(value):
            raise Refusal("quantity", self.env._("The quantity %s is no decimal number.", value))
        try:
            quantity = Decimal(value)
        except InvalidOperation as error:
            # Its exponent is beyond all that decimals have.
            raise Refusal(
                "quantity", self.env._("The quantity %s is out of range.", value)
            ) from error
        if not quantity.is_finite() or abs(quantity) >= MAX_QUANTITY:
            raise Refusal("quantity", self.env._("The quantity %s is out of range.", value))
        if not quantity:
            # A zero may come with any exponent, also with one that NUMERIC has not.
            return Decimal(0)
        if quantity.as_tuple().exponent < -MAX_DECIMALS:
            raise Refusal(
                "quantity",
                self.env._(
                    "The quantity %(value)s has more than %(digits)s decimal places.",
                    value=value,
                    digits=MAX_DECIMALS,
                ),
            )
        return quantity

    def _parse_properties(self, value):
        """Return properties as JSON that PostgreSQL can hold."""
        if type(value) is not dict:
            raise Refusal(
                "properties", self.env._("The properties are no object with named values.")
            )
        try:
            text = json.dumps(
                value, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_as_number
            )
            text.encode()
        except (ValueError, TypeError, RecursionError) as error:
            raise Refusal(
                "properties", self.env._("The properties are no JSON: %s", error)
            ) from error
        if len(text) > MAX_PROPERTIES:
            raise Refusal(
                "properties",
                self.env._("The properties are longer than %s characters.", MAX_PROPERTIES),
            )
        if ZERO_CHARACTER.search(text):
            raise Refusal("properties", self.env._("The properties hold a zero character."))
        return text

    @api.model
    def _rejected_from_sql(self):
        """Hook: return an expression for the moment from which events of `client` are rejected."""
        return SQL("NULL::timestamp")

    def _load_codes(self, events, company):
        """Return what the events' codes stand for: clients, features and levels."""
        objects = [event for event in events if type(event) is dict]
        refs = {event.get("client") for event in objects if _is_key(event.get("client"))}
        codes = {event.get("feature") for event in objects if _is_key(event.get("feature"))}
        key_sudo = self.env["reseller.usage.key"]._get_current()
        self.env.flush_all()
        clients = {}
        for (
            ref,
            former,
            moved,
            client_id,
            tz,
            until,
            starts,
            locked_at,
            firsts,
            lasts,
        ) in self.env.execute_query(
            SQL(
                """
                SELECT client.ref, client.former_ref, client.former_until, client.id,
                       COALESCE(client.tz, reseller.tz), client.billed_until, client.billing_start,
                       %(locked_at)s,
                       array_agg(membership.date_from), array_agg(membership.date_to)
                  FROM reseller_client client
                  JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
                  JOIN reseller_client_membership membership ON membership.client_id = client.id
                 WHERE client.company_id = %(company)s AND client.state != 'draft'
                   AND (client.ref = ANY(%(refs)s) OR client.former_ref = ANY(%(refs)s))
                   AND %(allowed)s
                 GROUP BY client.id, reseller.tz
                 ORDER BY client.former_ref IS NULL, client.id
                """,
                company=company.id,
                refs=list(refs),
                allowed=key_sudo._clients_sql(),
                locked_at=self._rejected_from_sql(),
            )
        ):
            service = list(zip(firsts, lasts, strict=True))
            # The account that bears a reference now comes last: its days give the reasons.
            if ref in refs:
                clients.setdefault(ref, []).append(
                    (client_id, tz, service, until, starts, locked_at)
                )
            if former in refs:
                # Served again, it is so by its own reference: the former one is another's.
                before = [
                    (first, min(last or moved, moved)) for first, last in service if first <= moved
                ]
                clients.setdefault(former, []).append(
                    (client_id, tz, before, until, starts, locked_at)
                )
        # A company's own feature goes before a common one with the same code.
        features = dict(
            self.env.execute_query(
                SQL(
                    """
                    SELECT code, id FROM reseller_feature
                     WHERE active AND COALESCE(company_id, %s) = %s AND code = ANY(%s)
                     ORDER BY company_id NULLS FIRST
                    """,
                    company.id,
                    company.id,
                    list(codes),
                )
            )
        )
        features = {
            code: feature for code, feature in features.items() if key_sudo._allows_feature(feature)
        }
        levels = {
            (feature, code): level
            for feature, code, level in self.env.execute_query(
                SQL(
                    "SELECT feature_id, code, id FROM reseller_feature_level WHERE feature_id = ANY(%s)",
                    list(features.values()),
                )
            )
        }
        return clients, features, levels

    def _copy_events(self, rows):
        """Lay the rows into a temporary table of this transaction."""
        self.env.cr.execute(
            """
            CREATE TEMPORARY TABLE IF NOT EXISTS reseller_usage_batch (
                position integer, client_id integer, feature_id integer, level_id integer,
                quantity numeric, occurred_at timestamp, billing_date date,
                source varchar, external_id varchar, corrects varchar, is_late boolean,
                properties jsonb, import_id integer
            ) ON COMMIT DELETE ROWS;
            TRUNCATE reseller_usage_batch
            """
        )
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(rows)
        stream.seek(0)
        self.env.cr.copy_expert(
            SQL(
                "COPY reseller_usage_batch (%s) FROM STDIN WITH (FORMAT csv)",
                SQL(", ").join(map(SQL.identifier, COLUMNS)),
            ).code,
            stream,
        )

    def _store_events_sql(self, company):
        """Return the query that stores a batch and adds it to the buckets; it returns a count.

        Only rows that were really inserted reach the buckets. Keys are sorted, so that two batches
        at once cannot wait for each other in a circle. A bucket that changes is not covered by any
        statement any more: the next bill rates its cycle again.
        """
        return SQL(
            """
            WITH stored AS (
                INSERT INTO reseller_usage_line (
                    company_id, client_id, feature_id, level_id, quantity, occurred_at,
                    billing_date, source, external_id, corrects, is_late, properties, import_id)
                SELECT %(company)s, client_id, feature_id, level_id, quantity, occurred_at,
                       billing_date, source, external_id, corrects, is_late, properties, import_id
                  FROM reseller_usage_batch
                 ORDER BY source, external_id, position
                    ON CONFLICT (company_id, source, external_id) WHERE is_released IS NOT TRUE
                       DO NOTHING
                RETURNING id, client_id, feature_id, level_id, billing_date, quantity, occurred_at
            ), gauge AS (
                SELECT id FROM reseller_feature WHERE aggregation IN ('max', 'last')
            ), bucketed AS (
                INSERT INTO reseller_usage_daily AS bucket (
                    company_id, client_id, feature_id, level_id, billing_date, quantity, event_count,
                    max_quantity, last_quantity, last_at)
                SELECT %(company)s, client_id, feature_id, level_id, billing_date,
                       sum(quantity), count(*),
                       max(quantity) FILTER (WHERE feature_id IN (TABLE gauge)),
                       (array_agg(quantity ORDER BY occurred_at DESC, id DESC)
                           FILTER (WHERE feature_id IN (TABLE gauge)))[1],
                       max(occurred_at) FILTER (WHERE feature_id IN (TABLE gauge))
                  FROM stored
                 GROUP BY client_id, feature_id, level_id, billing_date
                 ORDER BY client_id, feature_id, COALESCE(level_id, 0), billing_date
                    ON CONFLICT (client_id, feature_id, COALESCE(level_id, 0), billing_date)
                       DO UPDATE SET quantity = bucket.quantity + excluded.quantity,
                                     event_count = bucket.event_count + excluded.event_count,
                                     max_quantity = GREATEST(
                                         bucket.max_quantity, excluded.max_quantity),
                                     last_quantity = CASE
                                         WHEN bucket.last_at > excluded.last_at
                                         THEN bucket.last_quantity
                                         ELSE excluded.last_quantity END,
                                     last_at = GREATEST(bucket.last_at, excluded.last_at),
                                     statement_id = NULL, former_statement_id = NULL,
                                     preview_id = NULL
            )
            SELECT count(*) FROM stored
            """,
            company=company.id,
        )

    def _conflicts_sql(self, company, of_file):
        """Return the query for the positions of events that are stored with other content.

        :param of_file: whether they are rows of a file, whose further columns may change
        """
        return SQL(
            """
            SELECT batch.position
              FROM reseller_usage_batch batch
              JOIN reseller_usage_line line
                ON line.company_id = %s
               AND line.source = batch.source
               AND line.external_id = batch.external_id
               AND %s
             WHERE %s
            """,
            company.id,
            KEYED,
            self._differs_sql(of_file),
        )

    def _differs_sql(self, of_file):
        """Return the condition that `line`, which is stored, says other things than `batch`.

        :param of_file: whether they are rows of a file, whose further columns may change
        """
        return SQL(
            """
            ((line.client_id, line.feature_id, line.level_id, line.quantity,
              line.occurred_at, line.corrects)
             IS DISTINCT FROM
             (batch.client_id, batch.feature_id, batch.level_id, batch.quantity,
              batch.occurred_at, batch.corrects)
             -- What properties said may have been forgotten since.
             OR (NOT %s AND (line.properties != batch.properties
                 OR (line.properties IS NOT NULL AND batch.properties IS NULL))))
            """,
            of_file,
        )


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
