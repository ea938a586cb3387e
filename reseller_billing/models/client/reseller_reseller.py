import logging

from odoo import SUPERUSER_ID, api, fields, models
from odoo.addons.base.models.res_partner import _tz_get
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..base.notice import list_action

_logger = logging.getLogger(__name__)


class ResellerReseller(models.Model):
    _name = "reseller.reseller"
    _description = "Reseller"
    _inherit = [
        "mail.thread",
        "mail.activity.mixin",
    ]
    _order = "name, id"
    _check_company_auto = True
    _rec_names_search = ["name", "code"]
    _billing_user_writes = frozenset(
        (
            *("user_id", "logo", "color_primary", "statement_header", "statement_note"),
            *("statement_footer", "statement_lang", "statement_show_quantity"),
            *("statement_show_price", "statement_show_charts", "group_ids"),
        )
    )
    _billing_user_gives = frozenset(
        ("partner_id", "company_id", "currency_id", "code", "tz", "invoice_to", "client_ids")
    )

    active = fields.Boolean(default=True)
    name = fields.Char(related="partner_id.name", store=True)
    partner_id = fields.Many2one(
        "res.partner",
        string="Contact",
        required=True,
        index=True,
        ondelete="restrict",
        tracking=True,
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        default=lambda self: self.env.company.currency_id,
        help="The currency of this reseller's clients' bills. Rules match only bills in their currency.",
    )
    code = fields.Char(required=True, copy=False, tracking=True)
    user_id = fields.Many2one(
        "res.users",
        string="Responsible",
        default=lambda self: self.env.user,
        help="Gets the activities about this reseller's clients.",
    )
    statement_template_id = fields.Many2one(
        "mail.template",
        string="Mail of Statements",
        domain="[('model', '=', 'reseller.statement')]",
        default=lambda self: self.env.ref(
            "reseller_billing.mail_template_statement", raise_if_not_found=False
        ),
        help="How statements are sent, in the language of who gets them. Copy it for words of your "
        "own.",
    )
    tz = fields.Selection(
        _tz_get,
        string="Time Zone",
        required=True,
        default="UTC",
        help="Where a client has none of its own, its days begin and end here.",
    )
    invoice_to = fields.Selection(
        [
            ("client", "Each client"),
            ("reseller", "The reseller"),
            ("none", "Nobody: the reseller bills its clients itself"),
        ],
        string="Invoices Go To",
        required=True,
        default="client",
        tracking=True,
    )
    cash_rounding_id = fields.Many2one(
        "account.cash.rounding",
        groups="account.group_account_invoice,account.group_account_readonly",
        tracking=True,
        help="How invoices of this reseller's clients are rounded, where a client has no other.",
    )
    # Branding of statements, see also the portal's mixin
    logo = fields.Image(max_width=512, max_height=512)
    statement_footer = fields.Char(translate=True)

    is_house = fields.Boolean(
        readonly=True,
        copy=False,
        help="The provider itself, as seller: of resellers that buy, and of its direct clients. One a "
        "company and currency.",
    )
    buyer_ids = fields.One2many(
        "reseller.client",
        "buys_for_id",
        string="Buyer's Accounts",
        help="Accounts by which this reseller pays for what its clients use.",
    )
    client_ids = fields.One2many("reseller.client", "reseller_id", string="Clients")
    group_ids = fields.One2many("reseller.client.group", "reseller_id", string="Client Groups")
    client_count = fields.Integer(compute="_compute_client_count")

    _code_uniq = models.Constraint(
        "UNIQUE (company_id, code)", "Another reseller of this company has this code already."
    )

    _house_uniq = models.UniqueIndex(
        "(company_id, currency_id) WHERE is_house",
        "A company has one house a currency: use the one that is there.",
    )

    def _compute_client_count(self):
        counts = dict(
            self.env["reseller.client"]._read_group(
                [("reseller_id", "in", self.ids)], ["reseller_id"], ["__count"]
            )
        )
        for reseller in self:
            reseller.client_count = counts.get(reseller, 0)

    @api.constrains("currency_id", "company_id")
    def _check_billed(self):
        billed = self.with_context(active_test=False).client_ids.filtered("billed_until")
        if billed:
            billed._raise_billed(self.env._("the reseller's currency or company"))

    def write(self, vals):
        if "company_id" in vals:
            for reseller in self:
                served = reseller.with_context(active_test=False).client_ids.filtered(
                    lambda client: client.state != "draft"
                )
                if served and reseller.company_id.id != vals["company_id"]:
                    raise UserError(
                        self.env._(
                            "%s has clients that are served: its company stays.",
                            reseller.display_name,
                        )
                    )
        if "tz" in vals:
            self.with_context(active_test=False).client_ids._keep_usage_out()
        result = super().write(vals)
        if "currency_id" in vals:
            self.with_context(active_test=False).client_ids._sync_contracts()
        return result

    def _today(self):
        """Return today's date where the reseller is."""
        self.ensure_one()
        return fields.Date.context_today(self.with_context(tz=self.tz))

    # What it owes itself

    def _tell_responsible(self, record, summary, note, once=False):
        """Schedule an activity for who is responsible, or the system where nobody may see it.

        It never fails: what is told of happens in payments and in answers of providers.

        :param record: with activities
        :param bool once: whether it is told only where no activity with that summary is open
        """
        self.ensure_one()
        if once and summary in record.activity_ids.mapped("summary"):
            return
        for user in (self.user_id, self.env["res.users"].browse(SUPERUSER_ID)):
            try:
                with self.env.cr.savepoint():
                    if user:
                        record.activity_schedule(
                            "mail.mail_activity_data_todo",
                            summary=summary,
                            note=note,
                            user_id=user.id,
                        )
                        return
            except UserError:
                _logger.warning("%s cannot be told of %s", user.login, summary)

    def _conflict_with_others(self):
        """Let what changes these resellers, or is added to them, at the same time not pass each other.

        One of two transactions fails, is repeated, and then sees what the other one did.
        """
        self.env.cr.execute(
            SQL("UPDATE reseller_reseller SET code = code WHERE id = ANY(%s)", sorted(self.ids))
        )

    def action_view_clients(self):
        """Open the reseller's clients."""
        self.ensure_one()
        return list_action(
            self.env,
            "reseller_billing.reseller_client_action",
            self.env._("Clients"),
            [("reseller_id", "=", self.id)],
            default_reseller_id=self.id,
        )
