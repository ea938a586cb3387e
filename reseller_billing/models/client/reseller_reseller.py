import logging

from odoo import SUPERUSER_ID, api, fields, models
from odoo.addons.base.models.res_partner import _tz_get
from odoo.exceptions import UserError
from odoo.fields import Domain

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
    open_balance = fields.Monetary(
        compute="_compute_balance", help="What the reseller itself owes, by the invoices it pays."
    )
    overdue_balance = fields.Monetary(compute="_compute_balance")
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

    client_ids = fields.One2many("reseller.client", "reseller_id", string="Clients")
    group_ids = fields.One2many("reseller.client.group", "reseller_id", string="Client Groups")
    client_count = fields.Integer(compute="_compute_client_count")
    price_rule_count = fields.Integer(compute="_compute_price_rule_count")

    _code_uniq = models.Constraint(
        "UNIQUE (company_id, code)", "Another reseller of this company has this code already."
    )

    def _compute_client_count(self):
        counts = dict(
            self.env["reseller.client"]._read_group(
                [("reseller_id", "in", self.ids)], ["reseller_id"], ["__count"]
            )
        )
        for reseller in self:
            reseller.client_count = counts.get(reseller, 0)

    def _compute_price_rule_count(self):
        counts = dict(
            self.env["reseller.price.rule"]._read_group(
                [("reseller_id", "in", self.ids)], ["reseller_id"], ["__count"]
            )
        )
        for reseller in self:
            reseller.price_rule_count = counts.get(reseller, 0)

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
        result = super().write(vals)
        if "currency_id" in vals:
            self.with_context(active_test=False).client_ids._sync_contracts()
        return result

    def _today(self):
        """Return today's date where the reseller is."""
        self.ensure_one()
        return fields.Date.context_today(self.with_context(tz=self.tz))

    def _get_pricing(self, day, group, client=None, features=None):
        """Return the rule of every feature that wins on a day, with what it overrides.

        :param group: a reseller.client.group, or empty
        :param client: a reseller.client, or none: as for clients without prices of their own
        :param features: of these reseller.feature alone
        :return: a dict per feature: ``feature``, ``winner`` (may be empty), ``overridden``, and
            ``levels``, the names of levels
        """
        self.ensure_one()
        if features is None:
            features = self.env["reseller.feature"].search(
                [("company_id", "in", [False, self.company_id.id])]
            )
        rules = self.env["reseller.price.rule"].search(
            [
                ("feature_id", "in", features.ids),
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
                "|",
                ("date_from", "=", False),
                ("date_from", "<=", day),
                "|",
                ("date_to", "=", False),
                ("date_to", ">=", day),
                "|",
                "|",
                ("level", "=", "default"),
                ("reseller_id", "=", self.id),
                "|",
                ("client_id", "in", client.ids if client else []),
                ("group_id", "in", group.ids),
            ]
        )
        order = ["client", "group", "reseller", "default"]
        levels = dict(rules._fields["level"]._description_selection(self.env))
        by_feature = rules.grouped("feature_id")
        rows = []
        for feature in features:
            candidates = by_feature.get(feature, rules.browse()).sorted(
                lambda rule: order.index(rule.level)
            )
            rows.append(
                {
                    "feature": feature,
                    "winner": candidates[:1],
                    "overridden": candidates[1:],
                    "levels": levels,
                }
            )
        return rows

    # What it owes itself

    def _find_paying_contacts(self):
        """Return {reseller: clients} that pay themselves and are contacts of the reseller.

        What they owe is in the ledger of its contact, and no debt of its own.
        """
        payers = self.partner_id.commercial_partner_id
        clients_sudo = self.env["reseller.client"].sudo()  # who asks need not see every client
        found = clients_sudo.with_context(active_test=False).search(
            [("partner_id.commercial_partner_id", "in", payers.ids)]
        )
        by_payer = found.grouped(lambda client: client.partner_id.commercial_partner_id)
        return {
            reseller: clients_sudo
            if reseller.invoice_to == "reseller"
            else by_payer.get(reseller.partner_id.commercial_partner_id, clients_sudo)
            for reseller in self
        }

    def _get_entries_domain(self):
        """Return the domain of the entries of this reseller's own account."""
        self.ensure_one()
        return Domain(
            [
                ("partner_id", "=", self.partner_id.commercial_partner_id.id),
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
                ("client_id", "not in", self._find_paying_contacts()[self].ids),
            ]
        )

    @api.depends("partner_id", "invoice_to")
    def _compute_balance(self):
        keys = ("partner_id", "company_id", "currency_id", "client_id")
        payers = self.partner_id.commercial_partner_id
        sums = self.env["reseller.account.entry"]._load_balances(
            [("partner_id", "in", payers.ids), ("company_id", "in", self.company_id.ids)],
            fields.Date.context_today(self),
            keys,
        )
        others = self._find_paying_contacts()
        for reseller in self:
            mine = (
                reseller.partner_id.commercial_partner_id,
                reseller.company_id,
                reseller.currency_id,
            )
            left_out = set(others[reseller].ids)
            found = [
                amounts
                for (*key, client), amounts in sums.items()
                if tuple(key) == mine and client.id not in left_out
            ]
            reseller.open_balance = sum(amounts[0] for amounts in found)
            reseller.overdue_balance = sum(amounts[1] for amounts in found)

    def action_view_account(self):
        """Open the itemised history of what the reseller itself pays, with the balance."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Account of %s", self.display_name),
            "res_model": "reseller.account.entry",
            "view_mode": "list",
            "domain": list(self._get_entries_domain()),
        }

    def action_view_overdue(self):
        """Open the documents of the reseller's own that are overdue."""
        today = fields.Date.context_today(self)
        overdue = [("date_due", "<", today), ("residual", "!=", 0), ("is_offer", "=", False)]
        return {
            **self.action_view_account(),
            "domain": list(self._get_entries_domain() & Domain(overdue)),
        }

    def action_view_invoices(self):
        """Open the invoices and credit notes of the reseller's clients, whoever pays them."""
        self.ensure_one()
        return self.env["account.move"]._get_bills_action(
            [("reseller_reseller_id", "=", self.id)], search_default_group_reseller_client=1
        )

    # Lock-out, for debts of the reseller's own

    def _tell_responsible(self, record, summary, note):
        """Schedule an activity for who is responsible, or the system where nobody may see it.

        It never fails: what is told of happens in payments and in answers of providers.

        :param record: with activities
        """
        self.ensure_one()
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

    def action_view_clients(self):
        """Open the reseller's clients."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Clients"),
            "res_model": "reseller.client",
            "view_mode": "list,form",
            "domain": [("reseller_id", "=", self.id)],
            "context": {"default_reseller_id": self.id},
        }

    def action_view_price_rules(self):
        """Open the prices that hold for all of the reseller's clients."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Prices"),
            "res_model": "reseller.price.rule",
            "view_mode": "list,form",
            "domain": [("reseller_id", "=", self.id)],
            "context": {
                "default_reseller_id": self.id,
                "default_date_from": fields.Date.context_today(self),
            },
        }
