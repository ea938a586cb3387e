import json
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from zoneinfo import ZoneInfo

from odoo import api, models

from .reseller_usage_intake import PlainReader
from .reseller_usage_line import (
    AHEAD,
    DECIMAL,
    MAX_DECIMALS,
    MAX_LENGTH,
    MAX_PROPERTIES,
    MAX_QUANTITY,
    RFC3339,
    ZERO_CHARACTER,
    Refusal,
    _as_number,
    _holds,
    _is_key,
    _lookup,
    _printable,
)
from .reseller_usage_reader import UnreadableEvent


class ResellerUsageLine(models.Model):
    """What an event says, checked."""

    _inherit = "reseller.usage.line"

    def _parse_events(self, events, company, intake):
        """Return (rows, rejected): (index, row in the order of COLUMNS), (index, reason, kind).

        :param intake: that they are of
        """
        clients, features, levels = self._load_codes(events, company)
        corrected = self._load_corrected(events, company, intake)
        limits = self._get_oldest_day(company), datetime.now(UTC) + AHEAD
        permit = self.env["reseller.usage.key"]._get_current()._get_permit()
        zones, rows, rejected = {}, [], []
        plain = PlainReader(clients, features, limits[1], self._parse_quantity)
        # A key's sources are looked at one by one; a correction counts all that its event has.
        is_plain = corrected is None and not permit.sources
        for index, event in enumerate(events):
            row = plain.read_event(event) if is_plain else None
            if row is not None:
                rows.append((index, row))
                continue
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
                faults = (
                    []  # who may not send it learns nothing else
                    if error.kind == "key"
                    else self._find_faults(
                        event, clients, features, levels, limits, permit.may_correct
                    )
                )
                # What is wrong with it in itself, all at once; else what it was refused for.
                reason = " ".join(dict.fromkeys(map(str, faults or [error])))
                rejected.append((index, _printable(reason), (faults or [error])[0].kind))
                continue
            # As text, which sorts as they do and is what the database is told.
            moment, day = row[4].isoformat(" "), row[5].isoformat()
            rows.append((index, (*row[:4], moment, day, *row[6:])))
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
        external_id, source = self._parse_key(event)
        client = self._find_clients(event, clients)
        feature = self._find_feature(event, features)
        level = self._find_level(event, feature, levels)
        oldest, latest = limits
        occurred_at = self._parse_time(event.get("time"), latest)
        quantity = self._parse_signed(event, may_correct)
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

    def _find_faults(self, event, clients, features, levels, limits, may_correct):
        """Return all Refusals of an event that is refused for what it says itself, in order.

        What is wrong with it only beside what is stored, such as its client's service, is not looked at.
        """
        if type(event) is not dict:
            return []
        feature = _lookup(features, event.get("feature"))
        properties = event.get("properties")
        checks = [
            partial(self._parse_key, event),
            partial(self._find_clients, event, clients),
            partial(self._find_feature, event, features),
            partial(self._parse_time, event.get("time"), limits[1]),
            partial(self._parse_signed, event, may_correct),
        ]
        if feature:
            checks.insert(3, partial(self._find_level, event, feature, levels))
        if properties is not None:
            checks.append(partial(self._parse_properties, properties))
        found = []
        for check in checks:
            try:
                check()
            except Refusal as error:
                found.append(error)
        return found

    def _parse_key(self, event):
        """Return (id, source) of an event."""
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
        return external_id, source

    def _find_clients(self, event, clients):
        """Return the accounts that have borne an event's client reference."""
        found = _lookup(clients, event.get("client"))
        if not found:
            text = self.env._("There is no client with reference %s.", event.get("client"))
            raise Refusal("client", self._explain_unknown(text, event.get("client")))
        return found

    def _find_feature(self, event, features):
        """Return the id of an event's feature."""
        found = _lookup(features, event.get("feature"))
        if not found:
            text = self.env._("There is no feature with code %s.", event.get("feature"))
            raise Refusal("feature", self._explain_unknown(text, event.get("feature")))
        return found

    def _find_level(self, event, feature, levels):
        """Return the id of an event's level, or what is empty."""
        level = event.get("level")
        if not level:
            return level
        found = _lookup(levels, (feature, level))
        if not found:
            raise Refusal(
                "level",
                self.env._(
                    "The feature %(feature)s has no level with code %(level)s.",
                    feature=event["feature"],
                    level=level,
                ),
            )
        return found

    def _parse_signed(self, event, may_correct):
        """Return an event's quantity; only who may correct sends it below zero."""
        quantity = self._parse_quantity(event.get("quantity"))
        if quantity < 0 and not may_correct:
            raise Refusal("key", self.env._("The key may not send negative use."))
        return quantity

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
