from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import date_utils

STEPS = ("reseller", "price", "client", "meter", "preview", "run")


class ResellerDashboard(models.AbstractModel):
    """The way from an empty database to the first bill; gone once there is one."""

    _inherit = "reseller.dashboard"

    @api.model
    def get_data(self) -> dict:
        """Override: with ``steps``, what is left to the first bill, for who may take them.

        :return: besides, ``steps``: dicts with ``key``, ``title``, ``text``, ``button`` and ``done``; see
            get_step_action
        """
        return {**super().get_data(), "steps": self._get_steps()}

    @api.model
    def get_step_action(self, key: str) -> dict:
        """Return the action of a step to the first bill: its form, filled with an example.

        :param key: the step's
        :raise AccessError: without the group Billing Manager
        """
        self.env["res.users"]._check_billing_manager()
        if key not in STEPS:
            raise UserError(self.env._("The dashboard has changed: load it again."))
        return getattr(self, f"_open_step_{key}")()

    def _get_steps(self):
        """Return the steps to the first bill of the company, none where it stands."""
        if not self.env.user.has_group("reseller_billing.group_billing_manager"):
            return []
        done = self._get_done_steps()
        if done["run"]:
            return []
        words = {
            "reseller": (
                self.env._("Add a reseller"),
                self.env._("Who sells your service to clients. That may be your own company."),
                self.env._("Add Reseller"),
            ),
            "price": (
                self.env._("Set a price"),
                self.env._("A fee, a price per unit, or both: the example has 100 units included."),
                self.env._("Set Price"),
            ),
            "client": (
                self.env._("Add a client"),
                self.env._("Say since when it is served, and press Activate."),
                self.env._("Add Client"),
            ),
            "meter": (
                self.env._("Take in use"),
                self.env._("Connect the system that meters it, or add some use by hand."),
                self.env._("Connect"),
            ),
            "preview": (
                self.env._("Look at the bill"),
                self.env._(
                    "What the next bill of a client would be, with the reason of each amount."
                ),
                self.env._("Preview"),
            ),
            "run": (
                self.env._("Bill what is due"),
                self.env._("A run bills what is due and posts the invoices."),
                self.env._("Start a Run"),
            ),
        }
        return [
            {
                "key": key,
                "title": words[key][0],
                "text": words[key][1],
                "button": words[key][2],
                "done": done[key],
            }
            for key in STEPS
        ]

    def _get_done_steps(self):
        """Return {key of a step: whether it is done} as the records of the company say."""
        own = [("company_id", "=", self.env.company.id)]

        def has(model, *domain):
            return bool(self.env[model].search_count([*own, *domain], limit=1))

        return {
            "reseller": has("reseller.reseller"),
            "price": has("reseller.price.rule"),
            "client": has("reseller.client", ("state", "!=", "draft"), ("buys_for_id", "=", False)),
            "meter": has("reseller.usage.daily"),
            "preview": has("reseller.statement"),
            "run": has("reseller.statement", ("state", "!=", "preview")),
        }

    def _open_form(self, name, model, /, **defaults):
        return {
            "type": "ir.actions.act_window",
            "name": name,
            "res_model": model,
            "view_mode": "form",
            "views": [(False, "form")],
            "context": {f"default_{field}": value for field, value in defaults.items()},
        }

    def _first_of_month(self):
        return fields.Date.to_string(date_utils.start_of(fields.Date.context_today(self), "month"))

    def _open_step_reseller(self):
        return self._open_form(self.env._("Add a Reseller"), "reseller.reseller")

    def _open_step_price(self):
        features = self.env["reseller.feature"]
        example = self.env.ref("reseller_billing.feature_sms", raise_if_not_found=False)
        if not (example and example.active):
            example = features.search([], limit=1)
        return self._open_form(
            self.env._("Set a Price"),
            "reseller.price.rule",
            feature_id=example.id,
            date_from=self._first_of_month(),
            recurring_fee=10.0,
            included_quantity=100,
            unit_price=0.05,
        )

    def _open_step_client(self):
        resellers = self.env["reseller.reseller"]
        reseller = resellers.search(
            [("company_id", "=", self.env.company.id), ("is_house", "=", False)], limit=1
        )
        return self._open_form(
            self.env._("Add a Client"),
            "reseller.client",
            reseller_id=reseller.id,
            membership_ids=[fields.Command.create({"date_from": self._first_of_month()})],
        )

    def _open_step_meter(self):
        return self._open_form(
            self.env._("Connect"), "reseller.usage.key", name=self.env._("My first meter")
        )

    def _open_step_preview(self):
        clients = self.env["reseller.client"]
        domain = [("company_id", "=", self.env.company.id), ("state", "=", "active")]
        client = clients.search(domain, order="next_bill_date, id", limit=1)
        if not client:
            raise UserError(self.env._("No client is active yet: add one, and press Activate."))
        return client.action_preview()

    def _open_step_run(self):
        return self._open_form(self.env._("Start a Run"), "reseller.billing.run")
