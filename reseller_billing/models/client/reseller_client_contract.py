from datetime import date

from odoo import models

from .contract_contract import CLIENT


class ResellerClient(models.Model):
    """A client's contract of OCA's contract addon: extra lines, invoice address and texts of its bills."""

    _inherit = "reseller.client"

    def _prepare_contract_vals(self):
        self.ensure_one()
        return {
            "name": self.display_name,
            "code": self.ref,
            "partner_id": self.partner_id.id,
            "company_id": self.company_id.id,
            "manual_currency_id": self.currency_id.id,
            "contract_type": "sale",
            "generation_type": "reseller",
            "line_recurrence": True,
            "reseller_client_id": self.id,
            "user_id": False,
        }

    def _create_contracts(self):
        for company, clients in self.grouped("company_id").items():
            contracts_sudo = (
                self.env["contract.contract"]
                .sudo()  # made for the account, whatever rights on contracts one has
                .with_company(company)
                .with_context(tracking_disable=True)
                .create([client._prepare_contract_vals() for client in clients])
            )
            for client, contract_sudo in zip(clients, contracts_sudo, strict=True):
                client.sudo().contract_id = contract_sudo.id  # billing keeps this value
                # By hand only: empty, the partner's invoice address at billing time serves.
                contract_sudo.invoice_partner_id = False

    def _sync_contracts(self):
        """Write each contract's recurrence and next date from its client, which owns the cycle."""
        types = {"day": "daily", "week": "weekly", "month": "monthly", "year": "yearly"}
        for client in self.filtered("contract_id"):
            row = client._service_at(client.next_bill_date or date.max)
            contract_sudo = client.contract_id.sudo()  # its dates only mirror the client's
            contract_sudo.with_context(reseller_sync=CLIENT).write(
                {
                    "recurring_rule_type": types[row.interval_unit],
                    "recurring_interval": row.interval_count,
                    "date_start": client.activation_date,
                    "recurring_next_date": client.next_bill_date,
                    "manual_currency_id": client.currency_id.id,
                }
            )
