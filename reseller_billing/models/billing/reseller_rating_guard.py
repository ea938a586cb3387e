from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from itertools import zip_longest

from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ... import rating
from ..base.states import live_sql
from .reseller_billing_run import WORKING
from .reseller_rating import _terms_on


class ResellerRating(models.AbstractModel):
    """What billed days had as prices, to compare (rating 23)."""

    _inherit = "reseller.rating"

    def _billed_prices(self, features):
        """Return {(client, feature id): (runs, once)} of billed days.

        Runs are (first, last, (rule id, terms, whether it bills past fees)); once is the first
        enrolled day with its rule, where something is given or due once. Days that a run is billing at the moment count as billed.
        """
        found = {}
        asks = self._load_past_fee_rules(features)
        working = self._get_working_dates()
        for company in self.env.companies:
            at_work = working.get(company)
            billed = Domain("billed_until", "!=", False)
            if at_work:
                billed |= Domain("state", "=", "active")
            clients = (
                self.env["reseller.client"]
                .sudo()  # what is billed binds also those who may not see it
                .with_context(active_test=False)
                .search(Domain("company_id", "=", company.id) & billed)
            )
            if not clients:
                continue
            books = {
                book: self._load_features(company, features, book=book)
                for book in clients.grouped("book")
            }
            accounts = self._load_accounts(clients)
            for client in clients:
                until = max(filter(None, (client.billed_until, at_work)))
                for feature in features:
                    rated = books[client.book].get((client.currency_id.id, feature.id))
                    runs, once = [], None
                    if rated:
                        timeline = accounts[client.id].timeline(rated, until)
                        runs = [
                            (
                                first,
                                min(last, until),
                                rule and (rule.id, rule.terms, rule.id in asks),
                            )
                            for first, last, rule in timeline.winners()
                            if first <= until
                        ]
                        if rated.has_once and not rated.has_on_use:
                            first = timeline.first_enrolled()
                            if first and first.day <= until:
                                once = first.day, first.rule.id
                    found[client, feature.id] = runs, once
        return found

    def _load_past_fee_rules(self, features):
        """Return the ids of the prices of features that say that they bill past fees."""
        rules_sudo = self.env["reseller.price.rule"].sudo()  # as in _billed_prices
        domain = [("feature_id", "in", features.ids), ("bills_past_fees", "=", True)]
        return set(rules_sudo.search(domain).ids)

    def _load_trials(self, client, until):
        """Return {feature id: rating.FirstEnrolment} of a client's trials that begin by a day.

        Where use decides who has a feature, its trial may begin with the first cycle.
        """
        account = self._load_accounts(client)[client.id]
        found = {}
        for (currency, number), feature in self._load_features(
            client.company_id, clients=client.ids
        ).items():
            if currency != client.currency_id.id or not feature.has_once:
                continue
            once = account.timeline(feature, until).first_enrolled(lambda _cycle: True)
            if once and once.day <= until and once.rule.terms.trial_days:
                found[number] = once
        return found

    def _load_past_fees(self, days, rules, used):
        """Return {client: amount} of what prices would bill for billed days without any use.

        :param days: {client: the first day that has a price only now}
        :param rules: ids of prices
        :param used: ids of clients with use that no bill has covered
        """
        found = {}
        records = self.env["reseller.client"].sudo().union(*days)  # as in _billed_prices
        for company, of_company in records.grouped("company_id").items():
            statements = self.env["reseller.statement"].with_company(company)
            bills = {}
            for client in of_company:
                following = client.billed_until + rating.DAY
                bill = statements._prepare_bill(client, following)
                # Of cycles that had begun by then.
                since = min(filter(None, (bill.rerate_from, days[client])))
                bills[client.id] = replace(bill, next_date=following, rerate_from=since)
            charges, _covered, _draws = self._rate(of_company, bills)
            for client in of_company:
                kinds = {"recurring", "setup", "minimum"}
                amount = sum(
                    (
                        charge.amount
                        for charge in charges[client.id]
                        if charge.key.rule in rules
                        and (
                            charge.key.kind in kinds or (charge.key.flat and client.id not in used)
                        )
                    ),
                    Decimal(0),
                )
                if amount > 0:
                    found[client] = amount
        return found

    def _get_working_dates(self):
        """Return {company: last day that its runs at work may bill}."""
        runs = self.env["reseller.billing.run"].sudo()  # they bind also who may not see them
        return {
            company: fields.Date.subtract(date, days=1)
            for company, date in runs._read_group(
                [("state", "in", WORKING), ("company_id", "in", self.env.companies.ids)],
                ["company_id"],
                ["date:max"],
            )
        }

    def _compare_billed_prices(self, before, features, made):
        """Return {client: (whether a billed price changed, first day that has one only now, rule ids)}.

        A price that no bill has used yet is no billed one. The rules are those that billed days have
        now and had not before.

        :param before: see _billed_prices
        :param made: {rule id: its `made_after_id`}
        """
        after = self._billed_prices(features)
        at_work = self._get_working_dates()
        freed = defaultdict(list)
        for one in (
            self.env["reseller.client"].union(*(key[0] for key in after))._get_freed_statements()
        ):
            if one.period_start:
                freed[one.client_id.id].append((one.period_start, one.period_end))
        found, doubtful = {}, []
        for key, (runs, once) in after.items():
            client = key[0]
            changed, priced, rules = found.get(client, (False, None, set()))
            old_runs, old_once = before.get(key, ([], None))
            free = freed[client.id]
            cuts = {day for first, last, _terms in runs + old_runs for day in (first, last)}
            cuts |= {day for first, last in free for day in (first, last + rating.DAY)}
            cuts = sorted(cuts)
            for day, following in zip_longest(cuts, cuts[1:]):
                old, new = _terms_on(old_runs, day), _terms_on(runs, day)
                if old == new or any(first <= day <= last for first, last in free):
                    continue
                last = max(day, following - rating.DAY) if following else day
                if not client.billed_until or day > client.billed_until:
                    changed = True
                elif old is not None and client.company_id in at_work:
                    changed = True  # a bill is using it at this moment
                elif old is not None:
                    doubtful.append((client, made.get(old[0], 0), day, last))
                if new is not None:
                    priced = min(priced or day, day)
                    rules = rules | {new[0]}
            # A trial that has begun, or a bonus that was given, stays where it is.
            if old_once and old_once != once:
                doubtful.append((client, made.get(old_once[1], 0), old_once[0], old_once[0]))
            found[client] = changed, priced, rules
        for client in self._find_using(doubtful):
            found[client] = True, *found[client][1:]
        return found

    def _find_using(self, doubtful):
        """Return the clients that have a bill of some days, later than another one.

        :param doubtful: [(client, id of the last statement before, first day, last day)]
        """
        if not doubtful:
            return []
        clients, after, firsts, lasts = zip(*doubtful, strict=True)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT asked.client_id
                  FROM unnest(%s::int[], %s::int[], %s::date[], %s::date[])
                       AS asked (client_id, after_id, first, last)
                  JOIN reseller_statement statement
                    ON statement.client_id = asked.client_id
                   AND %s
                   AND statement.kind != 'manual'
                   AND statement.id > asked.after_id
                   AND LEAST(statement.period_start, statement.rerate_from, statement.bill_date)
                       <= asked.last
                   AND GREATEST(statement.period_end, statement.bill_date - 1) >= asked.first
                """,
                [client.id for client in clients],
                list(after),
                list(firsts),
                list(lasts),
                live_sql("statement"),
            )
        )
        found = {client.id: client for client in clients}
        return [found[number] for (number,) in rows]
