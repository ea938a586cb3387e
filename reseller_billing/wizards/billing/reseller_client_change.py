from datetime import date

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools.misc import format_date, formatLang

from ...models.base.intervals import INTERVAL_UNITS
from ...models.base.notice import make_notice

# What shows on the client's own next bill.
FORESEEN = (
    *("pause", "resume", "group", "trial", "close", "reopen", "enrol", "switch_off", "price"),
    "cycle",
)
# What may be billed at once.
INSTANT = ("group", "enrol", "resume")
# What may take billed days back, if a manager says so.
TAKES_BACK = ("close", "switch_off")


class ResellerClientChange(models.TransientModel):
    """Changes the service of a list of accounts from a day on."""

    _name = "reseller.client.change"
    _description = "Change of Service"

    client_ids = fields.Many2many(
        "reseller.client",
        string="Clients",
        required=True,
        default=lambda self: self._default_client_ids(),
    )
    client_count = fields.Integer(compute="_compute_client_count")
    change = fields.Selection(
        [
            ("take_over", "Take over from another system"),
            ("pause", "Pause"),
            ("resume", "End a pause"),
            ("group", "Move to a group"),
            ("cycle", "Change the billing cycle"),
            ("trial", "Extend the trial"),
            ("enrol", "Have a number of a feature"),
            ("switch_off", "Switch off a feature"),
            ("price", "Try a draft price"),
            ("close", "Close"),
            ("reopen", "Reopen"),
            ("reseller", "Move to another reseller"),
        ],
        required=True,
        default=lambda self: self._default_change(),
    )
    date = fields.Date(
        required=True,
        default=fields.Date.context_today,
        help="The first day on which the change holds, where the client is; on closing, the last "
        "day of service; the last day of a feature or of a longer trial.",
    )
    activation_date = fields.Date(
        help="Since when the clients are served: cycles and trials are counted from here. "
        "Empty: what their service says.",
    )
    is_foreseen = fields.Boolean(compute="_compute_is_foreseen")
    company_id = fields.Many2one("res.company", compute="_compute_company_id")
    reseller_id = fields.Many2one(
        "reseller.reseller", string="New Reseller", domain="[('company_id', '=', company_id)]"
    )
    group_id = fields.Many2one("reseller.client.group", string="New Group")
    group_ids = fields.Many2many("reseller.client.group", compute="_compute_group_ids")
    feature_id = fields.Many2one("reseller.feature")
    quantity = fields.Float(default=1.0, min_display_digits=0)
    interval_count = fields.Integer(string="Bill Every", default=1)
    interval_unit = fields.Selection(INTERVAL_UNITS, string="Cycle Unit", default="month")
    billing_anchor = fields.Selection(
        [("activation", "That day"), ("month", "First of the month")],
        string="Cycles Begin On",
        default="activation",
    )
    draft_id = fields.Many2one(
        "reseller.price.rule",
        string="Draft Price",
        context={"active_test": False},
        domain="[('active', '=', False), ('company_id', '=', company_id)]",
        help="An archived price, as if it held from the first day on.",
    )
    bills_now = fields.Boolean(
        string="Bill at Once",
        help="What the change comes to in cycles that are paid ahead, and the use until then, is billed "
        "now; the next bill comes when it would have come.",
    )
    given_back = fields.Text(
        compute="_compute_given_back",
        store=True,
        readonly=False,
        help="What a closing or switching off that is dated back gives back, once it was looked at.",
    )

    @api.model
    def _default_client_ids(self):
        if self.env.context.get("active_model") == "reseller.client":
            return self.env.context.get("active_ids")
        return False

    @api.model
    def _default_change(self):
        """Return the only change that there is for these clients, or none: somebody chooses."""
        clients = self.env["reseller.client"].browse(self._default_client_ids() or [])
        states = set(clients.mapped("state"))
        only = {"draft": "take_over", "closed": "reopen"}
        return only.get(states.pop(), False) if len(states) == 1 else False

    @api.depends("client_ids")
    def _compute_client_count(self):
        for wizard in self:
            wizard.client_count = len(wizard.client_ids)

    @api.depends("client_ids", "change")
    def _compute_is_foreseen(self):
        for wizard in self:
            wizard.is_foreseen = len(wizard.client_ids) == 1 and wizard.change in FORESEEN

    @api.depends("client_ids")
    def _compute_company_id(self):
        for wizard in self:
            wizard.company_id = wizard.client_ids[:1].company_id or self.env.company

    @api.depends("client_ids", "reseller_id", "change")
    def _compute_group_ids(self):
        for wizard in self:
            resellers = (
                wizard.reseller_id if wizard.change == "reseller" else wizard.client_ids.reseller_id
            )
            wizard.group_ids = resellers.group_ids

    @api.depends("client_ids", "change", "date", "feature_id")
    def _compute_given_back(self):
        """What was looked at holds for that change alone."""
        self.given_back = False

    def _takes_back(self):
        """Whether billed days would be taken back, and this user may do that."""
        return (
            self.change in TAKES_BACK
            and any(
                client.billed_until and self.date < client.billed_until
                for client in self.client_ids
            )
            and not self.env.su  # a person says so
            and self.env["res.users"]._is_billing_manager()
        )

    def _describe_given_back(self):
        """Return what the change would give back, a line for each client."""
        statements, lines = self.env["reseller.statement"], []
        for client in self.client_ids:
            if not client.billed_until or self.date >= client.billed_until:
                continue
            total, given_back = statements._foresee_amounts(
                client, lambda client=client: self._apply(client, dated_back=True)
            )
            currency = client.currency_id
            lines.append(
                self.env._(
                    "%(client)s: %(given_back)s are given back; the bill comes to %(total)s.",
                    client=client.name,
                    given_back=formatLang(self.env, float(given_back), currency_obj=currency),
                    total=formatLang(self.env, float(total), currency_obj=currency),
                )
            )
        return "\n".join(lines)

    def action_apply(self):
        """Make the change; refuse it, for all clients, with the reason if it cannot be made.

        One that takes billed days back is made by a manager who has seen what it gives back.
        """
        self.ensure_one()
        if self.change == "price":
            raise UserError(
                self.env._(
                    "A draft is tried by What If; Simulate puts it in force for all it reaches."
                )
            )
        if self._takes_back() and not self.given_back:
            self.given_back = self._describe_given_back()
            return {
                "type": "ir.actions.act_window",
                "name": self.env._("Change Service"),
                "res_model": self._name,
                "res_id": self.id,
                "view_mode": "form",
                "target": "new",
            }
        done = self._apply(self.client_ids, dated_back=self._takes_back())
        if self.bills_now and self.change in INSTANT:
            statements = self.client_ids.action_bill_now(self.date)
            if len(statements.invoice_id) == 1:
                return statements.filtered("invoice_id").action_view_invoice()
        return done

    def _apply(self, clients, dated_back=False):
        match self.change:
            case "take_over":
                self._take_over()
            case "pause":
                clients.action_pause(self.date)
            case "resume":
                clients.action_resume(self.date)
            case "group":
                clients.action_move_to_group(self.group_id, self.date)
            case "cycle":
                self._change_cycle(clients)
            case "trial":
                clients.action_extend_trial(self.date)
            case "close":
                clients.action_close(self.date, dated_back)
            case "enrol":
                self._check_feature()
                clients.action_enrol(self.feature_id, self.quantity, self.date)
            case "price":
                if not self.draft_id:
                    raise UserError(self.env._("Choose the draft: an archived price."))
                self.draft_id._end_before(self.date, self.draft_id._get_own_scope())
                self.draft_id.write({"active": True, "date_from": self.date})
            case "switch_off":
                self._check_feature()
                clients.action_switch_off(self.feature_id, self.date, dated_back)
            case "reopen":
                clients.action_reopen(self.date)
            case "reseller":
                if not self.reseller_id:
                    raise UserError(self.env._("Choose the new reseller."))
                opened = clients.action_move_to_reseller(self.reseller_id, self.group_id, self.date)
                return {
                    "type": "ir.actions.act_window",
                    "name": self.env._("Clients"),
                    "res_model": "reseller.client",
                    "view_mode": "list,form",
                    "domain": [("id", "in", opened.ids)],
                }
        return self._notice_change(clients)

    def _notice_change(self, clients):
        """Return the action that says what was changed, and from when."""
        changes = dict(self._fields["change"]._description_selection(self.env))
        return make_notice(
            clients,
            self.env._(
                "%(change)s: %(clients)s, %(day)s.",
                change=changes[self.change],
                clients=clients.display_name
                if len(clients) == 1
                else self.env._("%s clients", len(clients)),
                day=format_date(self.env, self.date),
            ),
            name=self.env._("Clients"),
        )

    def _change_cycle(self, clients):
        if self.interval_count < 1 or not self.interval_unit or not self.billing_anchor:
            raise UserError(
                self.env._("Say how long the new cycle is, and on which day it begins.")
            )
        clients.action_change_cycle(
            self.date, self.interval_count, self.interval_unit, self.billing_anchor
        )

    def _check_feature(self):
        if not self.feature_id:
            raise UserError(self.env._("Choose the feature."))

    def action_preview(self):
        """Open what the first bill after the change would be; nothing changes.

        :raise UserError: when the change cannot be made
        """
        self.ensure_one()
        client = self.client_ids
        if not self.is_foreseen:
            raise UserError(self.env._("Choose one client, and what changes in its service."))
        labels = dict(self._fields["change"]._description_selection(self.env))
        assumption = self.env._(
            "%(change)s: %(date)s",
            change=labels[self.change],
            date=format_date(self.env, self.date),
        )
        # A longer trial and a price show on any bill; the last day of service on the bill of the next.
        first = {"trial": date.min, "price": date.min, "close": fields.Date.add(self.date, days=1)}
        statement = self.env["reseller.statement"]._preview_if(
            client,
            first.get(self.change, self.date),
            lambda: self._apply(client, dated_back=self._takes_back()),
            assumption,
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("What If"),
            "res_model": "reseller.statement",
            "view_mode": "form",
            "res_id": statement.id,
        }

    def _take_over(self):
        """Activate new accounts that another system has billed up to the day before."""
        for client in self.client_ids:
            if client.state != "draft":
                raise UserError(
                    self.env._("%s is active already: take over new clients only.", client.name)
                )
            if not client.membership_ids:
                client.membership_ids = [
                    fields.Command.create({"date_from": self.activation_date or self.date})
                ]
            elif self.activation_date and client.activation_date != self.activation_date:
                client.membership_ids.sorted("date_from")[0].date_from = self.activation_date
            if client.activation_date > self.date:
                raise UserError(
                    self.env._(
                        "%(client)s is served from %(first)s on only: take it over then or later.",
                        client=client.name,
                        first=client.activation_date,
                    )
                )
            client.billing_start = self.date
        self.client_ids.action_activate()
