from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain

from ... import rating
from ...models.base.states import LIVE


class ResellerPriceSimulation(models.TransientModel):
    """Replays closed periods with draft prices: who would pay more, and who less.

    Drafts are archived prices. Nothing of the business changes until they are applied.
    """

    _name = "reseller.price.simulation"
    _description = "Price Simulation"

    draft_ids = fields.Many2many(
        "reseller.price.rule",
        string="Draft Prices",
        required=True,
        default=lambda self: self._default_draft_ids(),
        domain="[('active', '=', False)]",
        context={"active_test": False},
        help="Archived prices. Each takes the place of the price of its feature at its level. Of a price "
        "in force, its drafts are proposed.",
    )
    periods = fields.Integer(
        string="Closed Periods", required=True, default=3, help="How many bills back to replay."
    )
    line_ids = fields.One2many("reseller.price.simulation.line", "simulation_id", readonly=True)
    date = fields.Date(
        string="Apply From",
        default=fields.Date.context_today,
        help="The first day of the new prices, when they are applied.",
    )
    more_count = fields.Integer(string="Pay More", compute="_compute_counts")
    less_count = fields.Integer(string="Pay Less", compute="_compute_counts")

    @api.model
    def _default_draft_ids(self):
        if self.env.context.get("active_model") == "reseller.price.rule":
            rules = self.env["reseller.price.rule"].browse(self.env.context.get("active_ids"))
            return rules._get_drafts()
        return False

    @api.depends("line_ids.difference")
    def _compute_counts(self):
        for wizard in self:
            differences = wizard.line_ids.mapped("difference")
            wizard.more_count = sum(difference > 0 for difference in differences)
            wizard.less_count = sum(difference < 0 for difference in differences)

    # Actions

    def action_simulate(self):
        """Show what each client was to pay by the prices of now and would pay by the drafts."""
        self.ensure_one()
        self._check_drafts()
        if self.periods < 1:
            raise UserError(self.env._("Replay at least one closed period."))
        self.line_ids.unlink()
        self.line_ids = [Command.create(vals) for vals in self._prepare_lines()]
        if not self.line_ids:
            raise UserError(self.env._("No client that these prices reach has been billed yet."))
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Price Simulation"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def action_apply(self):
        """Put the drafts in force from a day on; those before end on the day before."""
        self.ensure_one()
        self._check_drafts()
        made = self.env["reseller.price.rule"]
        for draft in self.draft_ids:
            scope = draft._get_own_scope()
            made |= draft._end_before(self.date, scope)._make_copy(draft, self.date, scope)
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Prices"),
            "res_model": "reseller.price.rule",
            "view_mode": "list,form",
            "domain": [("id", "in", made.ids)],
        }

    def _check_drafts(self):
        """Refuse two drafts that would take the place of the same price."""
        known = {}
        for draft in self.draft_ids:
            key = (draft.feature_id, draft.company_id, draft.currency_id)
            key += tuple(draft._get_own_scope().values())
            if key in known:
                raise UserError(
                    self.env._(
                        "%(first)s and %(second)s take the place of the same price: choose one of them.",
                        first=known[key].name,
                        second=draft.name,
                    )
                )
            known[key] = draft

    # Replay

    def _prepare_lines(self, clients=None):
        """Hook: return the values of the lines, one a client.

        :param clients: to keep to; all that the drafts reach where None
        """
        return [
            {"client_id": client.id, "old_amount": float(old), "new_amount": float(new)}
            for client, (old, new) in self._simulate(clients).items()
        ]

    def _simulate(self, clients=None):
        """Return {client: (old, new)}: what the replayed bills come to, as Decimals; see _prepare_lines.

        Both are replayed by today's rules, groups and use, so that the drafts alone differ.
        """
        rates = self.env["reseller.rating"]
        found = {}
        kinds = self.draft_ids.grouped(lambda draft: (draft.company_id, draft.book))
        for (company, book), drafts in kinds.items():
            bills = self._get_bills(drafts, clients)
            replayed = self.env["reseller.client"].union(*bills)
            if not replayed:
                continue
            now = rates._load_features(company, drafts.feature_id, book=book)
            drafted = rates._load_features(company, drafts.feature_id, drafts, book=book)
            then = self._with_drafts(now, drafted)
            accounts = rates._load_accounts(replayed)
            parts, wanted = defaultdict(list), {}
            for client in replayed:
                for number, features in enumerate((now, then)):
                    for (currency, feature_id), feature in features.items():
                        if currency != client.currency_id.id:
                            continue
                        made = [
                            rating.FeatureBill(accounts[client.id], feature, bill)
                            for bill in bills[client]
                        ]
                        since = min((part.since for part in made if part.since), default=None)
                        if since:
                            key = (client.id, feature_id)
                            parts[client, number].append((key, made))
                            first = min(since, wanted.get(key, (since,))[0])
                            wanted[key] = first, bills[client][-1].period_end
            last = {client.id: bills[client][-1] for client in replayed}
            uncovered = rates._load_uncovered(last, book=book)
            usage = rates._load_usage(wanted, uncovered, book)
            for client in replayed:
                found[client] = tuple(
                    sum(
                        (self._replay(made, usage[key]) for key, made in parts[client, number]),
                        Decimal(0),
                    )
                    for number in (0, 1)
                )
        return found

    def _get_bills(self, drafts, clients=None):
        """Return {client: [rating.Bill]}: one to begin with, then the closed periods."""
        bills = {}
        for client, made in self._find_periods(drafts, clients).items():
            rounding = client.currency_id._get_exact_rounding()
            dates = [made[0].period_start, *made.mapped("bill_date")]
            following = [*dates[1:], client._bill_date_after(dates[-1])]
            starts = [dates[0], *made.mapped("period_start")]
            bills[client] = [
                rating.Bill(day, start, after, rounding)
                for day, start, after in zip(dates, starts, following, strict=True)
            ]
        return bills

    def _find_periods(self, drafts, clients=None):
        """Return {client: statements} of the closed periods that are replayed, in order, of those whom drafts reach;
        see _prepare_lines.
        """
        reached = Domain.OR(map(self._get_reached_domain, drafts))
        if clients is not None:
            reached &= Domain("id", "in", clients.ids)
        statements = self.env["reseller.statement"].search(
            Domain("client_id", "any", reached)
            & Domain("state", "in", LIVE)
            & Domain("period_start", "!=", False),
            order="bill_date desc",
        )
        return {
            client: made[: self.periods].sorted("bill_date")
            for client, made in statements.grouped("client_id").items()
        }

    @api.model
    def _get_reached_domain(self, draft):
        """Return the domain of the accounts that a price may reach, closed ones among them."""
        domain = Domain("company_id", "=", draft.company_id.id)
        domain &= Domain("buys_for_id", "=" if draft.book == "retail" else "!=", False)
        if draft.reseller_id:
            domain &= Domain("reseller_id", "=", draft.reseller_id.id)
        if draft.group_id:
            # Whoever was in it at any time: the replayed days decide.
            domain &= Domain("membership_ids.group_id", "=", draft.group_id.id)
        if draft.client_id:
            domain &= Domain("id", "=", draft.client_id.id)
        return domain

    def _with_drafts(self, features, drafts):
        """Return features with the drafts, open-ended, in the place of the rules of their levels."""
        found = dict(features)
        for key, draft in drafts.items():
            rules = [replace(rule, date_from=None, date_to=None) for rule in draft.rules]
            taken = {(rule.rank, rule.scope) for rule in rules}
            kept = [
                rule
                for rule in (features[key].rules if key in features else ())
                if (rule.rank, rule.scope) not in taken
            ]
            found[key] = replace(draft, rules=(*kept, *rules))
        return found

    @staticmethod
    def _replay(parts, usage):
        """Return what a feature's bills come to, but for the first, which only lays the ground."""
        total = Decimal(0)
        prior = defaultdict(lambda: rating.Billed(Decimal(0), Decimal(0), None))
        for number, part in enumerate(parts):
            for charge in part.charges(usage, dict(prior))[0]:
                quantity, amount, _end = prior[charge.key]
                prior[charge.key] = rating.Billed(
                    quantity + charge.quantity,
                    amount + charge.amount,
                    charge.cycle_end,
                )
                if number:
                    total += charge.amount
        return total


class ResellerPriceSimulationLine(models.TransientModel):
    _name = "reseller.price.simulation.line"
    _description = "Price Simulation of a Client"
    _order = "client_id"

    simulation_id = fields.Many2one("reseller.price.simulation", required=True, ondelete="cascade")
    client_id = fields.Many2one("reseller.client", readonly=True)
    reseller_id = fields.Many2one(related="client_id.reseller_id")
    currency_id = fields.Many2one(related="client_id.currency_id")
    old_amount = fields.Monetary(string="By Prices of Now", readonly=True)
    new_amount = fields.Monetary(string="By the Drafts", readonly=True)
    difference = fields.Monetary(compute="_compute_difference")

    @api.depends("old_amount", "new_amount")
    def _compute_difference(self):
        for line in self:
            line.difference = line.new_amount - line.old_amount
