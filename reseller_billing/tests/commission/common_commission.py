from datetime import date

from odoo import Command

from ..common import PrepaidCommon


class CommissionCommon(PrepaidCommon):
    """A reseller that earns ten per cent of what its clients pay, and how they do."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reseller.write(
            {
                "settlement": "referral",
                "settlement_date": "2024-01-01",
                "commission_basis": "paid",
                "self_billing_agreement": "of 1 January 2024",
                "self_billing_from": "2024-01-01",
                "commission_without_vat": True,
            }
        )
        cls._set_rate(10)
        journals = cls.env["account.journal"].create(
            {
                "name": "Commissions",
                "code": "COM",
                "type": "purchase",
                "is_self_billing": True,
                "company_id": cls.company.id,
            }
        )
        company_sudo = cls.company.sudo()  # as an administrator sets it
        company_sudo.reseller_commission_journal_id = journals
        company_sudo.reseller_commission_product_id = cls.env["product.product"].create(
            {"name": "Commission", "type": "service", "supplier_taxes_id": False}
        )

    @classmethod
    def _set_rate(cls, percent, feature=None, level=None, day="2024-01-01", reseller=None):
        return cls.env["reseller.commission.rate"].create(
            {
                "reseller_id": (reseller or cls.reseller).id,
                "feature_id": feature and feature.id,
                "level_id": level and level.id,
                "date_from": day,
                "percent": percent,
            }
        )

    def _pay_on(self, day, amount=None, invoice=None, **values):
        """Pay an invoice, in part or whole, on a day; return the payment."""
        invoice = invoice or self._statement(self.client_a, "2024-02-01").invoice_id
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create(
                {
                    "journal_id": self.company_data["default_journal_bank"].id,
                    "payment_date": day,
                    **({"amount": amount} if amount else {}),
                    **values,
                }
            )
        )
        return wizard._create_payments()

    def _credit(self, invoice, day, net):
        """Post a credit note of an accountant's, which takes back of an invoice, and reconcile them."""
        note = self.env["account.move"].create(
            {
                "move_type": "out_refund",
                "partner_id": invoice.partner_id.id,
                "reversed_entry_id": invoice.id,
                "invoice_date": day,
                "date": day,
                "invoice_line_ids": [
                    Command.create(
                        {
                            "name": "Goodwill",
                            "quantity": 1,
                            "price_unit": net,
                            "tax_ids": [Command.set(invoice.invoice_line_ids.tax_ids.ids)],
                        }
                    )
                ],
            }
        )
        note.action_post()
        (invoice | note).line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable" and not line.reconciled
        ).reconcile()
        self.assertEqual(note.payment_state, "paid")
        return note

    def _state(self, until, approve=True):
        """Make the reseller's statement until a day; return it, approved."""
        statement = self.env["reseller.commission"]._make(self.reseller, date.fromisoformat(until))
        self.assertEqual(
            statement.currency_id.round(sum(statement.line_ids.mapped("amount"))),
            statement.amount_total,
        )
        if approve:
            statement.action_approve()
        return statement
