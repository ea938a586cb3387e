from odoo import api, fields, models
from odoo.exceptions import UserError

from ...models.lockout.reseller_lockout_policy import SEVERITY, STATES


class ResellerLockoutForecast(models.TransientModel):
    """Who would be where on the ladders on a day, if nothing more were paid until then."""

    _name = "reseller.lockout.forecast"
    _description = "Who Would Be Locked Out"

    date = fields.Date(
        string="On",
        required=True,
        default=lambda self: fields.Date.add(fields.Date.context_today(self), days=30),
    )
    line_ids = fields.One2many("reseller.lockout.forecast.line", "forecast_id", readonly=True)

    @api.depends("date")
    def _compute_display_name(self):
        for forecast in self:
            forecast.display_name = self.env._("Locked out on %s", forecast.date)

    def action_show(self):
        """List the accounts that are, or would be, at a stage on the day.

        Bills that will be made until then are not in it, nor are stages changed.
        """
        self.ensure_one()
        if self.date < fields.Date.context_today(self):
            raise UserError(self.env._("Choose today or a day to come."))
        self.line_ids.unlink()
        found = []
        for name in ("reseller.reseller", "reseller.client"):
            model = self.env[name].with_context(active_test=False)
            debtors = model.search([("company_id", "in", self.env.companies.ids)])
            # Journal items are summed up, not shown.
            debts = debtors.sudo()._load_debts(self.date)
            for debtor in debtors:
                debt = debts[debtor.id]
                if not debt.owed and debtor.lockout_state == "clear":
                    continue
                stage, _reason, exception = debtor._get_lockout_stage(debt, self.date)
                if not stage and debtor.lockout_state == "clear" and not exception:
                    continue
                client = debtor if name == "reseller.client" else self.env["reseller.client"]
                found.append(
                    {
                        "client_id": client.id,
                        "reseller_id": (client.reseller_id or debtor).id,
                        "state_now": debtor.lockout_state,
                        "state_then": stage.state or "clear",
                        "owed": float(debt.owed),
                        "days_overdue": debt.days,
                        "exception_id": exception and exception.id,
                    }
                )
        found.sort(key=lambda row: (-SEVERITY[row["state_then"]], -row["days_overdue"]))
        self.line_ids = [fields.Command.create(vals) for vals in found]
        return {
            "type": "ir.actions.act_window",
            "name": self.display_name,
            "res_model": self._name,
            "view_mode": "form",
            "res_id": self.id,
            "target": "new",
        }


class ResellerLockoutForecastLine(models.TransientModel):
    _name = "reseller.lockout.forecast.line"
    _description = "Account That Would Be Locked Out"

    forecast_id = fields.Many2one("reseller.lockout.forecast", required=True, ondelete="cascade")
    client_id = fields.Many2one("reseller.client", string="Account")
    reseller_id = fields.Many2one("reseller.reseller", required=True)
    currency_id = fields.Many2one(related="reseller_id.currency_id")
    state_now = fields.Selection(STATES, string="Now")
    state_then = fields.Selection(STATES, string="Then")
    owed = fields.Monetary(string="Overdue Then")
    days_overdue = fields.Integer(string="Days Overdue Then")
    exception_id = fields.Many2one("reseller.lockout.exception", string="Held By")
