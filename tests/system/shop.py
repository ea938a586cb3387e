"""A database with one client whose saved method is charged, for tests that commit."""

import contextlib
import signal

import processes
from freezegun import freeze_time
from odoo.tools import mute_logger
from processes import Child


class Shop:
    """A database with a client whose invoices of 100.00 are charged to a saved method when posted."""

    def __init__(self, database, log):
        self.database = database
        self.log = log
        log.touch()
        with self.env() as env:
            partner = env["res.partner"].create({"name": "Client", "email": "c@example.com"})
            owner = env["res.partner"].create({"name": "R"})
            reseller = env["reseller.reseller"].create({"partner_id": owner.id, "code": "R"})
            self.client_id = (
                env["reseller.client"]
                .create({"partner_id": partner.id, "reseller_id": reseller.id, "ref": "C"})
                .id
            )
            self.client(env).membership_ids = [(0, 0, {"date_from": "2024-01-01"})]
            self.client(env).action_activate()
            self.provider_id = env["payment.provider"]._make_rbtest(str(log)).id
            feature = env["reseller.feature"].create({"name": "Fee", "code": "fee"})
            env["reseller.price.rule"].create(
                {"feature_id": feature.id, "recurring_fee": 100, "proration": "none"}
            )
            self.client(env).collection_timing = "posting"

    def env(self):
        return processes.environment(self.database)

    def client(self, env):
        return env["reseller.client"].browse(self.client_id)

    def save_method(self, behaviour):
        with self.env() as env:
            client = self.client(env)
            provider = env["payment.provider"].browse(self.provider_id)
            client.payment_token_id = env["payment.token"].create(
                {
                    "provider_id": provider.id,
                    "payment_method_id": provider.payment_method_ids.id,
                    "partner_id": client.partner_id.id,
                    "provider_ref": behaviour,
                    "payment_details": "1234",
                    "rbtest_behaviour": behaviour,
                }
            )

    def bill(self, date="2024-02-01"):
        """Bill until a date: an invoice for each month, the first on 1 January."""
        with self.env() as env:
            run = env["reseller.billing.run"].create({"date": date})
            run.action_start()
            while run._process_batch():
                pass

    def charge(self, day=None):
        """Do what the scheduled action does, on a day."""
        with freeze_time(day) if day else contextlib.nullcontext(), self.env() as env:
            env["reseller.client"]._cron_collect()

    def charge_in_child(self, behaviour):
        """Have a process charge, which may not outlive it."""
        child = Child(self.database, charge)
        if behaviour == "kill":
            assert child.wait() == -signal.SIGKILL
        else:
            child.result()

    def notify(self, *states):
        """Have the provider tell of the last charge, and Odoo book it as its own action does."""
        for state in states:
            with self.env() as env:
                env["payment.transaction"].search([], order="id desc", limit=1)._notify_rbtest(
                    state
                )
            with self.env() as env:
                env["payment.transaction"]._cron_post_process()

    @property
    def calls(self):
        """The amounts that the provider was asked for."""
        return [line.split()[1] for line in self.log.read_text().splitlines()]

    def look(self):
        """Return (state of charging, declines, what is owed, payments in the books)."""
        with self.env() as env:
            client = self.client(env)
            payments = env["account.payment"].search([("state", "!=", "canceled")])
            return (
                client.collection_state,
                client.collection_failures,
                client.open_balance,
                sorted(payments.mapped("amount")),
            )


def charge(env):
    """Do what the scheduled action does, in a process of its own."""
    with mute_logger("odoo.addons.reseller_billing.models.collection.payment_transaction"):
        env["reseller.client"]._cron_collect()
