from odoo import api, fields, models
from odoo.exceptions import UserError


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
    change = fields.Selection(
        [
            ("take_over", "Take over from another system"),
            ("pause", "Pause"),
            ("resume", "End a pause"),
            ("group", "Move to a group"),
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
        "day of service.",
    )
    activation_date = fields.Date(
        help="Since when the clients are served: cycles and trials are counted from here. "
        "Empty: what their service says.",
    )
    company_id = fields.Many2one("res.company", compute="_compute_company_id")
    reseller_id = fields.Many2one(
        "reseller.reseller", string="New Reseller", domain="[('company_id', '=', company_id)]"
    )
    group_id = fields.Many2one("reseller.client.group", string="New Group")
    group_ids = fields.Many2many("reseller.client.group", compute="_compute_group_ids")

    @api.model
    def _default_client_ids(self):
        if self.env.context.get("active_model") == "reseller.client":
            return self.env.context.get("active_ids")
        return False

    @api.model
    def _default_change(self):
        clients = self.env["reseller.client"].browse(self._default_client_ids() or [])
        states = set(clients.mapped("state"))
        return {"draft": "take_over", "closed": "reopen"}.get(
            states.pop() if len(states) == 1 else "", "close"
        )

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

    def action_apply(self):
        """Make the change; refuse it, for all clients, with the reason if it cannot be made."""
        self.ensure_one()
        clients = self.client_ids
        match self.change:
            case "take_over":
                self._take_over()
            case "pause":
                clients.action_pause(self.date)
            case "resume":
                clients.action_resume(self.date)
            case "group":
                clients.action_move_to_group(self.group_id, self.date)
            case "close":
                clients.action_close(self.date)
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
        return {"type": "ir.actions.act_window_close"}

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
