from odoo import models
from odoo.exceptions import UserError
from odoo.fields import Command


class ResellerReseller(models.Model):
    _inherit = "reseller.reseller"

    def action_invite_to_portal(self):
        """Open Odoo's dialog that gives the reseller's contact, and those beneath it, a user in the portal."""
        return self.partner_id._open_portal_wizard()


class ResellerClient(models.Model):
    _inherit = "reseller.client"

    def action_invite_to_portal(self):
        """Open Odoo's dialog that gives the client's contact, and those beneath it, a user in the portal."""
        return self.partner_id._open_portal_wizard()

    def _invite_to_portal(self):
        """Give this client's contact a user in the portal, or invite it again.

        :raise UserError: without an e-mail address, or with one that cannot be invited
        """
        self.ensure_one()
        contact = self.partner_id
        if not contact.email:
            raise UserError(self.env._("Enter an e-mail address first."))
        if self.env["payment.token"].search_count(
            [("partner_id", "child_of", contact.id)], limit=1
        ):
            # Whoever is invited could pay with them.
            raise UserError(
                self.env._("It has saved payment methods: ask your provider to invite it.")
            )
        users = contact.with_context(active_test=False).user_ids
        if users.filtered(lambda user: not user.active or not user._is_portal()):
            raise UserError(self.env._("Its access was withdrawn: ask your provider to open it."))
        wizard = (
            self.env["portal.wizard"]
            .with_company(self.company_id)
            .create({"partner_ids": [Command.set(contact.ids)]})
        )
        invited = wizard.user_ids
        if invited.email_state != "ok" or invited.is_internal:
            # No word of whose address it is: it may be another reseller's client.
            raise UserError(self.env._("This address cannot be invited: choose another one."))
        if invited.is_portal:
            invited.action_invite_again()
        else:
            invited.action_grant_access()
        self.message_post(
            body=self.env._(
                "%(user)s invited %(email)s to the portal.",
                user=self.env.user.name,
                email=contact.email,
            )
        )


class ResPartner(models.Model):
    _inherit = "res.partner"

    def _get_serving_company(self):
        """Return the companies of the reseller or clients that this contact, or one above it, stands for; none
        where it stands for nobody, or the contact has a company of its own.
        """
        contact = self if not self.company_id else self.browse()
        while contact:
            mine = [("partner_id", "=", contact.id)]
            found = self.env["reseller.reseller"].search(mine).company_id
            found = found or self.env["reseller.client"].search(mine).company_id
            if found:
                return found
            contact = contact.parent_id
        return self.env["res.company"]

    def _open_portal_wizard(self):
        """Return the action of Odoo's dialog on the portal users of a contact and its people."""
        self.ensure_one()
        if not self.email and not self.child_ids.filtered("email"):
            raise UserError(self.env._("%s has no e-mail address: enter one.", self.display_name))
        people = self | self.child_ids.filtered(lambda one: one.type in ("contact", "other"))
        wizard = self.env["portal.wizard"].create({"partner_ids": [Command.set(people.ids)]})
        return wizard._action_open_modal()
