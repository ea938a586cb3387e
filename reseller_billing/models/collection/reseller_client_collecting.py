from odoo import api, models

from .reseller_client_collection import CLAIMED

# How long one call charges, in seconds.
ROUND = 20


class ResellerClientCollecting(models.AbstractModel):
    """The work of charging the saved payment methods of a company's clients."""

    _name = "reseller.client.collecting"
    _description = "Charging of Saved Payment Methods"
    _inherit = ["reseller.work.mixin"]
    _work_cron = "reseller_billing.ir_cron_collect"
    _work_places = 1

    @api.model
    def _find_work(self):
        """Override of the mixin: companies with clients whose saved methods may be charged."""
        clients = self.env["reseller.client"].with_context(active_test=False)
        found = clients._read_group([("payment_token_id", "!=", False)], ["company_id"])
        found += self.env["payment.transaction"]._read_group(CLAIMED, ["company_id"])
        companies = self.env["res.company"].union(*(company for (company,) in found))
        return [self.with_company(company) for company in companies]

    def _get_round(self):
        """Override of the mixin: what cannot be charged is looked at once each time that it begins."""
        return ROUND

    def _count_remaining(self):
        """Override of the mixin: it is looked for as it goes."""
        return 1

    def _iterate_work(self):
        """Override of the mixin: charge by charge."""
        for transaction in self.env["payment.transaction"]._find_claimed():
            sent = transaction._send_claimed()  # claimed by hand, or left by a run that was stopped
            yield int(sent), 1
        failed = set()
        while wanted := [
            (client, invoices[0])
            for client, invoices in self.env["reseller.client"]._find_collectable().items()
            if client.id not in failed
        ]:
            for number, (client, invoice) in enumerate(wanted, 1):
                sent = client._collect(invoice)
                if not sent:
                    failed.add(client.id)
                yield int(sent), len(wanted) - number + 1
        yield 0, 0
