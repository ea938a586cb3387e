from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError

from ... import rating


class ResellerStatement(models.Model):
    """What a bill would be."""

    _inherit = "reseller.statement"

    @api.model
    def _preview(self, client, date):
        """See reseller.client.preview_statement."""
        self._check_active(client)
        if (client.billed_until and date <= client.billed_until) or date < client.activation_date:
            raise UserError(
                self.env._(
                    "%(client)s is billed until %(until)s: choose a later date.",
                    client=client.display_name,
                    until=client.billed_until or client.activation_date,
                )
            )
        preview, _vals, rows = self._prepare_preview(client, date)
        preview._insert_charges(rows)
        return self.browse(preview.id)

    def _check_active(self, client):
        if client.state == "draft":
            raise UserError(self.env._("%s is not active: activate it first.", client.display_name))

    @api.model
    def _preview_if(self, client, first, change, assumption):
        """Return the statement, in state preview, that the next bill would be after a change.

        :param date first: the first bill date on which the change shows
        :param change: a function that makes the change, of which nothing stays
        :param assumption: what is changed, in words
        :raise UserError: when it cannot be made, and when other bills come before
        """
        self._check_active(client)
        with self.env.cr.savepoint() as savepoint:
            change()
            date = client.next_bill_date
            if not date or date < first:
                if not date:
                    raise UserError(self.env._("No bill would follow that shows it."))
                raise UserError(
                    self.env._(
                        "The bill of %(date)s comes first and does not show it: choose an earlier day, "
                        "or look again once that is made.",
                        date=date,
                    )
                )
            _preview, vals, rows = self._prepare_preview(client, date)
            savepoint.rollback()
        self.env.invalidate_all(flush=False)
        preview = self._store_preview(client, {**vals, "assumption": assumption})
        preview._insert_charges([{**row, "statement_id": preview.id} for row in rows])
        return self.browse(preview.id)

    @api.model
    def _foresee_amounts(self, client, change):
        """Return (what the next bill would come to after a change, what the change gives back), exact.

        :param change: a function that makes the change, of which nothing stays
        """

        def rate(date):
            """Return what a bill of a date would come to."""
            _preview, _vals, rows = self._prepare_preview(client, date)
            return sum((Decimal(row["amount"]) for row in rows), Decimal(0))

        # A bill of the first free day has nothing new but what goes below what was billed.
        free = fields.Date.add(client.billed_until, days=1)
        with self.env.cr.savepoint() as savepoint:
            plain = rate(free)
            change()
            total, changed = rate(client.next_bill_date), rate(free)
            savepoint.rollback()
        self.env.invalidate_all(flush=False)
        return total, plain - changed

    @api.model
    def _sum_open(self, client, date):
        """Return ``amount``, what a bill of a date comes to by now (exact text), and ``has_lines``, whether lines of
        the contract are due with it, which are not in the amount: to price them takes them. Nothing is stored.
        """
        charges, _covered, _draws = self.env["reseller.rating"]._rate(
            client, {client.id: self._prepare_bill(client, date)}
        )
        bill = self.new({"client_id": client.id, "bill_date": date})
        by_hand = bill._take_manual_charges(preview=True)[bill.id]
        amounts = [charge.amount for charge in charges[client.id]]
        amounts += [Decimal(vals["amount"]) for vals in by_hand]
        return {
            "amount": rating.text(sum(amounts, Decimal(0))),
            "has_lines": any(
                line.recurring_next_date and line.recurring_next_date <= date
                for line in bill._find_contract_lines()
            ),
        }

    def _prepare_preview(self, client, date):
        """Return (a preview without charges, its values, those of its charges) of a bill of a date."""
        bill = self._prepare_bill(client, date)
        charges, _covered, draws = self.env["reseller.rating"]._rate(client, {client.id: bill})
        vals = self._prepare_vals(client, bill, "preview")
        vals["unit_draws"] = self._pack_draws(draws[client.id])
        preview = self._store_preview(client, vals)
        return preview, vals, preview._prepare_charges(charges, preview=True)

    def _store_preview(self, client, vals):
        """Return a new preview of a client's, without charges, instead of the one before."""
        previews_sudo = self.sudo()  # who may read the account may see what it would pay
        previews_sudo.search(
            [("client_id", "=", client.id), ("state", "=", "preview"), ("run_id", "=", False)]
        ).unlink()
        quiet = previews_sudo.with_context(tracking_disable=True, mail_create_nolog=True)
        return quiet.create(vals)
