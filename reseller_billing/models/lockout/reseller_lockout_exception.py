from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from .reseller_lockout_policy import STATES


class ResellerLockoutException(models.Model):
    """A promise to pay, or an override: until its last day a debtor climbs its ladder no higher."""

    _name = "reseller.lockout.exception"
    _description = "Exception from Lock-out"
    _order = "date_until desc, id desc"
    _check_company_auto = True

    client_id = fields.Many2one("reseller.client", index="btree_not_null", ondelete="cascade")
    reseller_id = fields.Many2one(
        "reseller.reseller",
        index="btree_not_null",
        ondelete="cascade",
        help="For a debt of the reseller's own.",
    )
    company_id = fields.Many2one("res.company", compute="_compute_company_id", store=True)
    kind = fields.Selection(
        [("promise", "Promise to pay"), ("override", "Override")], required=True, default="promise"
    )
    state = fields.Selection(
        STATES,
        string="At Most",
        required=True,
        default="warned",
        help="The state that is reached at most while this lasts.",
    )
    date_until = fields.Date(
        string="Until", required=True, help="The last day, where the debtor is."
    )
    reason = fields.Char(required=True, help="Who promised or decided what, and why.")
    is_withdrawn = fields.Boolean(string="Withdrawn", readonly=True)

    _one_debtor = models.Constraint(
        "CHECK ((client_id IS NULL) != (reseller_id IS NULL))",
        "An exception is a client's, or a reseller's for its own debt.",
    )

    @api.depends("client_id.company_id", "reseller_id.company_id")
    def _compute_company_id(self):
        for exception in self:
            exception.company_id = (exception.client_id or exception.reseller_id).company_id

    @api.depends("kind", "date_until")
    def _compute_display_name(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        for exception in self:
            exception.display_name = self.env._(
                "%(kind)s until %(day)s",
                kind=labels.get(exception.kind, ""),
                day=exception.date_until,
            )

    @api.constrains("date_until")
    def _check_date_until(self):
        for exception in self:
            if exception.date_until < (exception.client_id or exception.reseller_id)._today():
                raise ValidationError(
                    self.env._(
                        "The last day %s is over: choose today or later.", exception.date_until
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        made = super().create(vals_list)
        made._follow()
        return made

    def write(self, vals):
        if not self.env.su:
            raise UserError(
                self.env._("An exception stays as it was given: withdraw it and give another one.")
            )
        return super().write(vals)

    def action_withdraw(self):
        """End these exceptions now.

        :raise AccessError: without the right to give exceptions
        """
        if not self.has_access("create"):
            raise AccessError(self.env._("Only billing managers give and withdraw exceptions."))
        self.check_access("read")
        self.sudo().is_withdrawn = True  # rows are closed to writing, that they stay as given
        self._follow()

    def _follow(self):
        lockouts = self.env["reseller.lockout"]
        lockouts._evaluate(self.client_id)
        lockouts._evaluate(self.reseller_id)
