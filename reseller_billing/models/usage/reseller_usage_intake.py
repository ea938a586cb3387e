import csv
import io
from datetime import UTC, date, datetime
from decimal import Context, Decimal, localcontext
from operator import itemgetter
from zoneinfo import ZoneInfo

from odoo import api, models
from odoo.tools import SQL
from psycopg2.errors import UniqueViolation

from ...tools import array_of
from .reseller_usage_line import COLUMNS, MAX_LENGTH, MAX_QUANTITY, Refusal, _holds

# Of events in the order in which they are stored, so that two batches at once cannot wait for each
# other in a circle: as PostgreSQL's collation "C" has it.
IN_ORDER = itemgetter(COLUMNS.index("source"), COLUMNS.index("external_id"), 0)
# Sums of quantities are exact: these have 24 digits before the point and 30 behind it at most.
EXACT = Context(prec=80)
# From then on the zones of the world are off by whole minutes.
WHOLE_MINUTES = date(1973, 1, 1)
# Of what is stored, the first one being that of the company.
STORED = ("company_id", *COLUMNS[1:])


class Intake:
    """What comes in at once, until it is stored."""

    def __init__(self):
        """Begin with nothing."""
        #: events that are read, in the order of COLUMNS
        self.rows = []
        #: whether they are in the table of this transaction, where others are to be found as well
        self.is_laid = False
        #: ids of the rejections that were kept of it
        self.refused = []


class ResellerUsageLine(models.Model):
    """Events as they mostly come, read in one pass and stored without a detour."""

    _inherit = "reseller.usage.line"

    @api.model
    def _open_intake(self):
        """Return an Intake."""
        return Intake()

    def _lay_down(self, intake):
        """Have the events of an intake lie in a table of this transaction."""
        if not intake.is_laid:
            self._make_batch_table()
            intake.is_laid = True
        if intake.rows:
            self._copy_rows("reseller_usage_batch", COLUMNS, intake.rows)
            intake.rows = []

    def _copy_rows(self, table, columns, rows):
        """Copy rows into a table."""
        stream = io.StringIO()
        # With the line ends of CSV itself, it quotes what has either of their characters in it.
        csv.writer(stream).writerows(rows)
        stream.seek(0)
        self.env.cr.copy_expert(
            SQL(
                "COPY %s (%s) FROM STDIN WITH (FORMAT csv)",
                SQL.identifier(table),
                SQL(", ").join(map(SQL.identifier, columns)),
            ).code,
            stream,
        )

    def _store_at_hand(self, company, intake):
        """Store events that none is there of yet, and add them to their buckets; return whether it was so.

        :param intake: with all its events in memory
        """
        rows = sorted(intake.rows, key=IN_ORDER)
        try:
            # What is there already shows by its key; then nothing of it is stored yet.
            with self.env.cr.savepoint(flush=False):
                self._copy_rows(
                    "reseller_usage_line", STORED, ((company.id, *row[1:]) for row in rows)
                )
        except UniqueViolation:
            return False
        self.env.cr.execute(self._add_days_sql(company, self._sum_days(rows)))
        return True

    def _sum_days(self, rows):
        """Return {(client, feature, level or 0, day): [quantity, count, highest, last, moment of the last]} of
        events, in the order of the keys; the last three of gauges alone.

        :param rows: in the order in which they are stored
        """
        gauges = {
            number
            for (number,) in self.env.execute_query(
                SQL("SELECT id FROM reseller_feature WHERE aggregation IN ('max', 'last')")
            )
        }
        found = {}
        with localcontext(EXACT):
            for _position, client, feature, level, quantity, moment, day, *_rest in rows:
                key = client, feature, level or 0, day
                sums = found.get(key)
                if sums is None:
                    is_gauge = feature in gauges
                    of_gauge = (quantity, quantity, moment) if is_gauge else (None, None, None)
                    found[key] = [quantity, 1, *of_gauge]
                    continue
                sums[0] += quantity
                sums[1] += 1
                if sums[4] is not None:
                    sums[2] = max(sums[2], quantity)
                    if moment >= sums[4]:
                        sums[3:] = quantity, moment
        return dict(sorted(found.items()))

    def _add_days_sql(self, company, days):
        """Return the query that adds sums to their buckets.

        :param days: see _sum_days
        """
        columns = [*zip(*days, strict=True), *zip(*days.values(), strict=True)]
        return SQL(
            """
            INSERT INTO reseller_usage_daily AS bucket (
                company_id, client_id, feature_id, level_id, billing_date, quantity, event_count,
                max_quantity, last_quantity, last_at, version, is_pending)
            SELECT %s, client_id, feature_id, NULLIF(level_id, 0), billing_date, quantity,
                   event_count, max_quantity, last_quantity, last_at, 1, TRUE
              FROM unnest(%s::int[], %s::int[], %s::int[], %s::date[], %s::numeric[], %s::int[],
                          %s::numeric[], %s::numeric[], %s::timestamp[])
                   AS summed (client_id, feature_id, level_id, billing_date, quantity, event_count,
                              max_quantity, last_quantity, last_at)
            %s
            """,
            company.id,
            *map(array_of, columns),
            self._merge_days_sql(),
        )


class PlainReader:
    """Reads events as rows that are as most are: new use of one account on a day that is not billed yet, in
    whole seconds of UTC, without a level or properties.

    It never refuses: what it does not know, `_parse_event` reads, and has the reasons.
    """

    def __init__(self, clients, features, latest, parse_quantity):
        """Read events of some accounts and features.

        :param clients: see _load_accounts
        :param features: {code: id}
        :param datetime latest: the last moment that is taken, with its zone
        :param parse_quantity: what reads quantities, or raises Refusal
        """
        self.clients, self.features = clients, features
        self.latest = latest.replace(tzinfo=None)
        self.parse_quantity = parse_quantity
        self.sources, self.accounts, self.days, self.served = set(), {}, {}, {}

    def read_event(self, event):
        """Return the row of an event, see `_parse_event`, or None."""
        try:
            number, source, ref, time = event["id"], event["source"], event["client"], event["time"]
            feature, quantity = self.features[event["feature"]], event["quantity"]
            is_source, account = source in self.sources, self.accounts.get(ref, False)
        except (KeyError, TypeError):  # nor what has no place in a dict
            return None
        if (
            type(time) is not str
            or event.get("corrects")
            or event.get("level")
            or event.get("properties") is not None
        ):
            return None
        if not is_source:
            if not _is_plain_key(source):
                return None
            self.sources.add(source)
        if account is False:
            account = self.accounts[ref] = self._find_account(ref)
        if not (
            account and _is_plain_key(number) and len(time) == 20 and time[16] + time[19] == ":Z"
        ):
            return None
        place = account[1], time[:16]
        day = self.days[place] if place in self.days else self._find_day(place)
        place = account[0], day
        if not (self.served[place] if place in self.served else self._find_served(account, day)):
            return None
        try:
            moment = datetime.fromisoformat(time[:19])
            quantity = (
                Decimal(quantity)
                if type(quantity) is int and quantity < MAX_QUANTITY
                else self.parse_quantity(quantity)
            )
        except (ValueError, Refusal):
            return None
        if quantity < 0 or moment > self.latest:
            return None
        return (
            *(account[0], feature, None, quantity, f"{time[:10]} {time[11:19]}", day),
            *(source, number, None, False, None),
        )

    def _find_account(self, ref):
        """Return the one account that has borne a reference, or None."""
        accounts = self.clients.get(ref, ())
        # One that is locked out takes use of before.
        return accounts[0] if len(accounts) == 1 and not accounts[0][5] else None

    def _find_day(self, place):
        """Return the day, as text, of a minute of UTC in a time zone; None where it is none."""
        zone, minute = place
        day = None
        if minute.isascii() and minute[4:5] + minute[7:8] + minute[10:11] == "--T":
            try:
                moment = datetime.fromisoformat(f"{minute}:00").replace(tzinfo=UTC)
            except ValueError:
                moment = None
            if moment and moment.date() >= WHOLE_MINUTES and moment.year <= 2500:
                day = moment.astimezone(ZoneInfo(zone)).date().isoformat()
        self.days[place] = day
        return day

    def _find_served(self, account, day):
        """Return whether an account is served on a day, as text, that is not billed yet."""
        client, _zone, service, billed_until, starts, _locked_at = account
        is_served = False
        if day:
            then = date.fromisoformat(day)
            is_served = (
                _holds(service, then)
                and not (starts and then < starts)
                and not (billed_until and then <= billed_until)
            )
        self.served[client, day] = is_served
        return is_served


def _is_plain_key(text):
    """Whether a value is a key that needs no further look, see _is_key."""
    return type(text) is str and text.isascii() and 0 < len(text) <= MAX_LENGTH and "\0" not in text
