from contextlib import contextmanager

from freezegun import freeze_time
from odoo.addons.mail.tests.common import MailCommon

from ..common import ResellerBillingCommon


class LockoutCommon(ResellerBillingCommon, MailCommon):
    """A client with a fee of 100.00 in arrears, and a ladder."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.reseller_billing_delay = 0
        cls.policy = cls.env.ref("reseller_billing.lockout_policy_client")
        cls.reseller.lockout_policy_id = cls.policy
        cls.client_a.partner_id.email = "a@example.com"
        cls.fee = cls._create_feature("fee")
        cls._create_rule(cls.fee, recurring_fee=100, fee_timing="advance", proration="none")
        cls._create_rule(cls.feature, unit_price=1, lockout_when_owing=True)
        cls.other = cls._create_feature("other")
        cls._create_rule(cls.other, unit_price=1)

    @classmethod
    def _bill(cls, date="2024-02-01"):
        """Bill the fees of January and February, and pay January's."""
        cls._bill_more("2024-01-01")
        first = cls.env["account.move"].search([("reseller_client_id", "!=", False)])
        with freeze_time("2024-01-01 12:00:00"):
            for move in first:
                cls._pay(move)
        cls._bill_more(date)
        return cls.env["account.move"].search([("reseller_client_id", "!=", False)]) - first

    @classmethod
    def _bill_more(cls, date):
        """Bill on the day itself, and come to the end of the transaction."""
        with freeze_time(f"{date} 12:00:00"):
            cls._run(date)
            cls.env.cr.flush()

    @classmethod
    def _pay(cls, invoice, amount=None):
        wizard = cls.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        )
        payments = wizard.create({"amount": amount} if amount else {})._create_payments()
        cls.env.cr.flush()  # the end of the transaction
        return payments

    @contextmanager
    def _on(self, day):
        """Be on a day, in whose first hour the scheduled action has come."""
        with freeze_time(f"{day} 01:00:00"):
            self.env["reseller.lockout"].sudo()._evaluate(  # as the scheduled action
                self.env["reseller.client"].browse(
                    self.env["reseller.client"]._find_lockout_candidates()
                )
            )
            self.env["reseller.lockout"].sudo()._evaluate(  # as above
                self.env["reseller.reseller"].browse(
                    self.env["reseller.reseller"]._find_lockout_candidates()
                )
            )
            yield

    def _look(self, client=None):
        """Return (state, whether a marked feature may be used, and another one)."""
        client = client or self.client_a
        self.env.cr.flush()  # the end of the transaction
        client.invalidate_recordset()
        return (
            client.lockout_state,
            client.authorize("unit")["allowed"],
            client.authorize("other")["allowed"],
        )

    def _history(self, debtor=None):
        return [
            (step.state_from, step.state_to, step.cause, step.owed, step.days_overdue)
            for step in reversed((debtor or self.client_a).lockout_ids.step_ids)
        ]

    def _pay_on_account(self, partner, amount, day):
        """Receive money that no invoice is named for."""
        with freeze_time(f"{day} 12:00:00"):
            payment = self.env["account.payment"].create(
                {
                    "payment_type": "inbound",
                    "partner_type": "customer",
                    "partner_id": partner.id,
                    "amount": amount,
                    "journal_id": self.company_data["default_journal_bank"].id,
                }
            )
            payment.action_post()
            self.env.cr.flush()  # the end of the transaction
        return payment
