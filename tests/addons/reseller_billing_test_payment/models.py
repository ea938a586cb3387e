import os
import signal

import requests
from odoo import fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Command

LOG = "reseller_billing_test_payment.log"


class PaymentProvider(models.Model):
    _inherit = "payment.provider"

    code = fields.Selection(selection_add=[("rbtest", "Test")], ondelete={"rbtest": "set default"})

    def _compute_feature_support_fields(self):
        super()._compute_feature_support_fields()
        self.filtered(lambda provider: provider.code == "rbtest").support_tokenization = True

    def _send_api_request(self, *args, **kwargs):
        if self.code != "rbtest":
            return super()._send_api_request(*args, **kwargs)
        try:
            raise requests.Timeout
        except requests.Timeout:
            # As Odoo tells it.
            raise ValidationError("Could not establish the connection.")  # noqa: B904

    def _make_rbtest(self, log):
        """Return a provider of the current company whose calls are told in a file."""
        self.env["ir.config_parameter"].set_param(LOG, log)
        method = self.env.ref("payment.payment_method_card")
        provider = self.create(
            {
                "name": "Test",
                "code": "rbtest",
                "state": "test",
                "payment_method_ids": [Command.set(method.ids)],
                "allow_tokenization": True,
            }
        )
        method.write({"active": True, "support_tokenization": True})
        return provider


class PaymentToken(models.Model):
    _inherit = "payment.token"

    rbtest_behaviour = fields.Selection(
        [
            ("done", "Pays"),
            ("error", "Declines"),
            ("pending", "Pays days later"),
            ("twice", "Answers twice"),
            ("silent", "Answers by notification alone"),
            ("timeout", "Takes the money, and the line breaks"),
            ("broken", "Takes the money, and the program fails"),
            ("kill", "Takes the money, and the process is killed"),
        ]
    )


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    def _send_payment_request(self):
        if self.provider_code != "rbtest":
            return super()._send_payment_request()
        # What a provider did is not rolled back.
        with open(self.env["ir.config_parameter"].sudo().get_param(LOG), "a") as log:
            log.write(f"{self.reference} {self.amount:.2f}\n")
        behaviour = self.token_id.rbtest_behaviour
        if behaviour == "timeout":
            self._send_api_request("POST", "charge")
        if behaviour == "broken":
            raise RuntimeError("A program that failed.")
        if behaviour == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if behaviour != "silent":
            for _time in range(2 if behaviour == "twice" else 1):
                self._notify_rbtest("done" if behaviour == "twice" else behaviour)
        return None

    def _notify_rbtest(self, state):
        """Take a notification in, as a provider's webhook does."""
        self._process(
            "rbtest",
            {
                "reference": self.reference,
                "state": state,
                "amount": self.amount,
                "currency": self.currency_id.name,
            },
        )

    def _extract_amount_data(self, payment_data):
        if self.provider_code != "rbtest":
            return super()._extract_amount_data(payment_data)
        return {"amount": payment_data["amount"], "currency_code": payment_data["currency"]}

    def _apply_updates(self, payment_data):
        if self.provider_code != "rbtest":
            return super()._apply_updates(payment_data)
        if payment_data["state"] == "done":
            self._set_done()
        elif payment_data["state"] == "pending":
            self._set_pending()
        else:
            self._set_error("Declined")
        return None
