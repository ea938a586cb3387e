from odoo import models


class PortalWizardUser(models.TransientModel):
    _inherit = "portal.wizard.user"

    def action_grant_access(self):
        """Override of `portal`: a user of a reseller or client belongs to the company that serves it."""
        company = self.partner_id._get_serving_company()
        company = self.env.company if self.env.company in company else company[:1]
        wizard = self.with_company(company) if company else self
        return super(PortalWizardUser, wizard).action_grant_access()

    def _send_email(self):
        """Override of `portal`: a reseller's client is invited under the reseller's name, and a reseller to
        its clients.
        """
        self.ensure_one()
        template = self.env.ref(
            "reseller_billing.mail_template_invitation", raise_if_not_found=False
        )
        user_sudo = self.user_id.sudo()  # as Odoo does: who invites need not read users
        if not template or not any(user_sudo._get_portal_roles()):
            return super()._send_email()
        user_sudo.partner_id.signup_prepare()
        template.with_context(
            lang=user_sudo.lang,
            welcome_message=self.wizard_id.welcome_message,
            medium="portalinvite",
        ).send_mail(user_sudo.id, force_send=True)
        return True
