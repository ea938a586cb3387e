from odoo import fields, models
from odoo.exceptions import UserError

from .reseller_client import CYCLE


class ResellerClient(models.Model):
    """A client that goes to another reseller."""

    _inherit = "reseller.client"

    def action_move_to_reseller(self, reseller, group, date):
        """Close accounts at one reseller and open them at another.

        The new account takes over the reference. Use of days before still finds the old one.

        :param reseller: a reseller.reseller of the same company
        :param group: one of its groups, or empty
        :param date date: the first day at the new reseller, local to the client
        :return: the new accounts, active
        """
        date = fields.Date.to_date(date)
        opened = self.browse()
        for client in self:
            if reseller.company_id != client.company_id or reseller == client.reseller_id:
                raise UserError(
                    self.env._(
                        "%s can move to another reseller of its company: choose one.", client.name
                    )
                )
            served = client._membership_on(date)
            cycle = {name: served[name] for name in CYCLE if served}
            client.action_close(fields.Date.subtract(date, days=1))
            ref = client.ref
            client.ref = f"{ref}/{date}"
            client.sudo().write(  # only moving keeps these values
                {"former_ref": ref, "former_until": fields.Date.subtract(date, days=1)}
            )
            client.flush_recordset(["ref"])  # the new account takes the reference
            # What a manager has set for it goes along, whoever moves it.
            following_sudo = client.sudo().copy(  # as the line above says
                {
                    "reseller_id": reseller.id,
                    "ref": ref,
                    # The same days: an event of the last hours finds one of the two.
                    "tz": client.tz or client.reseller_id.tz,
                    "billing_start": client.billing_start
                    and client.billing_start > date
                    and client.billing_start,
                    **cycle,
                    "membership_ids": [
                        fields.Command.create({"date_from": date, "group_id": group.id})
                    ],
                    "enrolment_ids": [
                        fields.Command.create(
                            {
                                "feature_id": row.feature_id.id,
                                "date_from": max(row.date_from, date),
                                "date_to": row.date_to,
                                "quantity": row.quantity,
                            }
                        )
                        for row in client.enrolment_ids
                        if not row.date_to or row.date_to >= date
                    ],
                }
            )
            following = following_sudo.with_env(self.env)
            following.action_activate()
            following._take_over(client, date)
            following.message_post(
                body=self.env._(
                    "Came from %(reseller)s, where its account was %(account)s.",
                    reseller=client.reseller_id.display_name,
                    account=client.display_name,
                )
            )
            opened |= following
        return opened

    def _take_over(self, former, day):
        """Take over from an account at another reseller what is to be billed from a day on.

        That is the contract's header and extra lines, from the periods on that begin by then, and
        charges and credits by hand of later days. What is in another currency stays.
        """
        self.ensure_one()
        old_sudo = former.contract_id.sudo()  # contracts belong to their accounts
        new_sudo = self.contract_id.sudo()  # as above
        header = ("payment_term_id", "fiscal_position_id", "journal_id", "invoice_partner_id")
        new_sudo.write(
            {
                **{name: old_sudo[name].id for name in header},
                "tag_ids": [fields.Command.set(old_sudo.tag_ids.ids)],
                "note": old_sudo.note,
            }
        )
        lines_sudo = old_sudo.contract_line_ids.filtered(
            lambda line: not line.display_type and not line.is_canceled
        )
        starts = {line: line._get_start_after(day) for line in lines_sudo}
        items_sudo = former.env["reseller.manual.charge"].sudo()  # of the account, as above
        items_sudo = items_sudo.search(
            [("client_id", "=", former.id), ("state", "=", "waiting"), ("date", ">=", day)]
        )
        if self.currency_id != former.currency_id:
            left = [line.name for line, start in starts.items() if start]
            left += items_sudo.mapped("name")
            if left:
                self.message_post(
                    body=self.env._(
                        "These are in %(currency)s and stay with the former account: %(names)s",
                        currency=former.currency_id.name,
                        names=", ".join(left),
                    )
                )
            return
        items_sudo.client_id = self
        for line, start in starts.items():
            if start:
                [vals] = line.copy_data(
                    {
                        "contract_id": new_sudo.id,
                        "date_start": start,
                        "date_end": line.date_end,
                        "last_date_invoiced": False,
                    }
                )
                vals.pop("recurring_next_date", None)
                line.create(vals)
