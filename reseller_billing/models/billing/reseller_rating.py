from collections import defaultdict, namedtuple
from dataclasses import replace
from datetime import date

from odoo import models
from odoo.tools import SQL

from ... import rating

FOREVER = date(9999, 12, 31)
# An account whose running cycles are looked at: a client's id, its rating.Account, the currency's id and
# rounding, and its book.
Metered = namedtuple("Metered", "client_id account currency_id today rounding book")


class ResellerRating(models.AbstractModel):
    """Reads rules, service, use and earlier charges in a few queries, and has `rating/` rate them.

    It writes nothing.
    """

    _name = "reseller.rating"
    _description = "Rating of Use"

    # Reading

    # Rating

    def _rate(self, clients, bills, as_of=None):
        """Rate bills of clients of one company.

        Each book has prices of its own: its accounts are rated for themselves (wholesale W5).

        :param bills: {client id: rating.Bill}
        :param as_of: a day; bills that were booked later do not count, for the month's end
        :return: ({client id: [rating.Charge]}, {client id: [(bucket id, version)]}, {client id:
            [rating.Draw]}): buckets are of use that no bill covered before and this one does, without
            use that nothing prices; draws are from lots of units
        """
        charges, covered, draws = {}, {}, {}
        for of_book in clients.grouped("book").values():
            own = {client.id: bills[client.id] for client in of_book}
            rated = self._rate_book(of_book, own, as_of)
            for found, more in zip((charges, covered, draws), rated, strict=True):
                found.update(more)
        return charges, covered, draws

    def _rate_book(self, clients, bills, as_of=None):
        """See _rate; of clients of one book."""
        book = clients[:1].book
        features = self._load_features(clients.company_id, clients=clients.ids)
        accounts = self._load_accounts(clients)
        uncovered = self._load_uncovered(bills, as_of, book)
        # A cycle may end, cut short, on the day before.
        bounds = {client: bill.since - rating.DAY for client, bill in bills.items()}
        for (client, _feature), days in uncovered.items():
            bounds[client] = min(bounds[client], next(iter(days)))
        freed = self._find_freed(bills)
        later = {
            number: statement
            for statement in freed.values()
            for number in statement._find_later().ids
        }
        prior = self._load_prior(bounds, as_of, later)
        until = max((bill.date for bill in bills.values()), default=FOREVER)
        cuts = tuple(
            day
            for day in self.env["reseller.tax.change"]._get_cuts(clients.company_id)
            if day < until
        )
        spans = self._load_prior_spans(bounds, as_of, later) if cuts else {}
        priced = defaultdict(dict)
        for (currency, feature_id), feature in features.items():
            priced[currency][feature_id] = feature
        billed = defaultdict(set)
        for client, feature_id in prior:
            billed[client].add(feature_id)
        parts, wanted = {}, {}
        for client in clients:
            bill = replace(bills[client.id], cuts=cuts)
            own = priced[client.currency_id.id]
            # Where nothing prices it any more, what was billed of days to come is given back.
            unpriced = {
                feature_id: rating.Feature(feature_id, ())
                for feature_id in sorted(billed[client.id] - own.keys())
            }
            for feature_id, feature in (own | unpriced).items():
                key = (client.id, feature_id)
                if not (key in uncovered or key in prior or feature.has_fees):
                    continue
                part = rating.FeatureBill(
                    accounts[client.id], feature, bill, list(uncovered.get(key, ()))
                )
                parts[key] = part
                since = part.since
                if bill.rerate_from:
                    # Lots get back what they paid for days that are no days of service any more.
                    since = min(filter(None, (since, bill.rerate_from)))
                if since and since <= bill.period_end:
                    wanted[key] = (since, bill.period_end)
        usage = self._load_usage(wanted, uncovered, book)
        prepaid = self._load_prepaid(wanted, as_of)
        charges = {client.id: [] for client in clients}
        draws = {client.id: [] for client in clients}
        covered = defaultdict(list)
        nothing = rating.Usage([])
        for key, part in parts.items():
            charged, drawn = part.charges(
                usage.get(key, nothing),
                prior.get(key, {}),
                prepaid.get(key, rating.Prepaid()),
                spans.get(key),
            )
            own = freed.get(key[0])
            charges[key[0]] += [own._keep_to_days(charge) for charge in charged] if own else charged
            draws[key[0]] += drawn
            if key in uncovered:
                days = uncovered[key]
                for day in part.priced(list(days)):
                    covered[key[0]] += days[day]
        return charges, covered, draws

    def _find_freed(self, bills):
        """Return {client id: the void statement whose days its bill bills again}."""
        numbers = [bill.replaces for bill in bills.values() if bill.replaces]
        statements_sudo = self.env["reseller.statement"].sudo()  # as all that is read here
        return {statement.client_id.id: statement for statement in statements_sudo.browse(numbers)}

    def _load_states(self, clients, features=None, lot=None, more=None):
        """Return {(client id, feature id): (RatedCycle, CycleUse, rule)} of the cycles of today.

        :param clients: of one company
        :param features: reseller.feature records to keep to; all where None
        :param Decimal lot: units of a lot that is taken for granted, bought today by each
        :param more: see _rate_states
        """
        states = {}
        for of_book in clients.grouped("book").values():
            states |= self._load_states_of_book(of_book, features, lot, more)
        return states

    def _load_states_of_book(self, clients, features, lot, more):
        """See _load_states; of clients of one book."""
        found = self._load_features(clients.company_id, features, clients=clients.ids)
        accounts = self._load_accounts(clients)
        metered = [
            Metered(
                client.id,
                accounts[client.id],
                client.currency_id.id,
                client._today(),
                client.currency_id._get_exact_rounding(),
                client.book,
            )
            for client in clients
        ]
        return self._rate_states(metered, found, more=more, lot=lot)

    def _rate_states(self, metered, features, have_lots=True, more=None, lot=None):
        """See _load_states.

        :param metered: the Metered accounts, of one book
        :param features: of their company, see _load_features
        :param bool have_lots: whether some of these may have lots of units
        :param more: a function of a rating.FeatureBill and its rating.Usage, for further rows of use of today
            that are taken for granted
        :param lot: see _load_states
        """
        bills, [book] = {}, {one.book for one in metered}
        for client, _account, _currency, today, rounding, _book in metered:
            tomorrow = today + rating.DAY
            bills[client] = rating.Bill(tomorrow, today, tomorrow, rounding)
        # Of lots is left what no use draws that is not billed yet, of earlier cycles as well.
        holders = self._find_lot_holders(bills) if have_lots else set()
        drawing = bills if lot else {client: bills[client] for client, _feature in holders}
        uncovered = self._load_uncovered(drawing, book=book) if drawing else {}
        parts, wanted = {}, {}
        for client, account, currency, today, _rounding, _book in metered:
            for (priced_in, feature_id), feature in features.items():
                if priced_in != currency:
                    continue
                key = client, feature_id
                days = list(uncovered.get(key, ())) if key in holders else ()
                part = rating.FeatureBill(account, feature, bills[client], days)
                if part.since and part.since <= today:
                    parts[key] = part
                    wanted[key] = (part.since, today)
        usage = self._load_usage(wanted, uncovered, book)
        prepaid = self._load_prepaid({key: wanted[key] for key in holders if key in wanted})
        states = {}
        for key, part in parts.items():
            if more:
                usage[key] = rating.Usage([*usage[key].rows, *more(part, usage[key])])
            lots = prepaid.get(key, rating.Prepaid())
            if lot:
                bought = rating.UnitLot(0, lot, part.bill.period_end)
                lots = rating.Prepaid((*lots.lots, bought), lots.recorded)
            state = part.state(usage[key], lots)
            if state:
                cycle, use = state
                states[key] = cycle, use, cycle.rule_on(part.bill.period_end)
        return states

    def _current_usage(self, client):
        """See reseller.client.current_usage."""
        today = client._today()
        states = {feature: state for (_client, feature), state in self._load_states(client).items()}
        unpriced = self._load_unpriced(client, list(states), today)
        entries = []
        records = self.env["reseller.feature"].browse([*states, *unpriced])
        names = {record.id: record for record in records}
        for feature_id, (cycle, use, rule) in states.items():
            maximum = rule and rule.maximum
            entries.append(
                {
                    "feature": feature_id,
                    "code": names[feature_id].code,
                    "name": names[feature_id].name,
                    "cycle_start": cycle.cycle.start,
                    "cycle_end": cycle.cycle.last,
                    "used": rating.text(use.used),
                    "included_left": rating.text(use.get_left(today)),
                    "prepaid_left": rating.text(use.prepaid.get_left(today)),
                    "payable": rating.text(use.payable),
                    "maximum": rating.text(maximum) if maximum else False,
                    "amount": rating.text(use.amount),
                }
            )
        for feature_id, (first, used) in unpriced.items():
            entries.append(
                {
                    "feature": feature_id,
                    "code": names[feature_id].code,
                    "name": names[feature_id].name,
                    "cycle_start": first,
                    "cycle_end": False,
                    "used": used,
                    "included_left": "0",
                    "prepaid_left": "0",
                    "payable": "0",
                    "maximum": False,
                    "amount": "0",
                }
            )
        return entries

    def _load_expected(self, client):
        """Return {feature id: (amount, rule of today)} of a client's running cycles: what their use comes to at
        their ends, were the days that are left as those before: a forecast, of what adds up.
        """

        def expect(part, usage):
            today = part.bill.period_end
            cycle = next(
                (one for one in part.cycles if one.first_served <= today <= one.cycle.last), None
            )
            if not cycle or part.feature.aggregation in ("max", "last"):
                return []
            return rating.expect(
                usage.between(cycle.first_served, today),
                cycle.first_served,
                today,
                cycle.last_served,
                part.feature.quantity_digits,
            )

        states = self._load_states(client, more=expect)
        return {
            feature: (use.amount, rule)
            for (_client, feature), (_cycle, use, rule) in states.items()
        }

    def _load_unpriced(self, client, priced, today):
        """Return {feature id: (first day, use as text)} of unbilled use that nothing prices."""
        # Feature by feature, for an account's history is long, and most have none.
        others = self.env.execute_query(
            SQL(
                """
                SELECT feature.id
                  FROM reseller_feature feature
                 WHERE NOT feature.id = ANY(%s)
                   AND (SELECT TRUE FROM reseller_usage_daily bucket
                         WHERE bucket.client_id = %s AND bucket.feature_id = feature.id
                           AND bucket.is_pending AND bucket.billing_date <= %s
                         LIMIT 1)
                """,
                priced,
                client.id,
                today,
            )
        )
        if not others:
            return {}
        rows = self.env.execute_query(
            SQL(
                """
                SELECT bucket.feature_id, min(bucket.billing_date),
                       trim_scale(%s)::text
                  FROM reseller_usage_daily bucket
                  JOIN reseller_feature feature ON feature.id = bucket.feature_id
                 WHERE bucket.client_id = %s AND %s
                   AND bucket.feature_id = ANY(%s) AND bucket.billing_date <= %s
                 GROUP BY bucket.feature_id, feature.aggregation
                """,
                self.env["reseller.usage.daily"]._counted_together_sql(),
                client.id,
                self.env["reseller.usage.daily"]._uncovered_sql(),
                [number for (number,) in others],
                today,
            )
        )
        return {feature: (first, used) for feature, first, used in rows}

    # Billed days


def _terms_on(runs, day):
    return next((terms for first, last, terms in runs if first <= day <= last), None)
