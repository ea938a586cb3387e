from odoo.http import request
from odoo.tools.misc import format_date

from .portal_reseller import HOME, ResellerPortal, page

EARNED = f"{HOME}/earned"
# States of statements that a reseller sees.
SHOWN = ("sent", "disputed", "approved")


class EarnedPortal(ResellerPortal):
    """What a reseller earns: its commission statements, to be agreed on or objected to."""

    def _get_domain_of_earned(self, resellers):
        return [("reseller_id", "in", resellers.ids), ("state", "in", SHOWN)]

    def _find_commission(self, commission_id):
        resellers_sudo = self._get_resellers()
        domain = self._get_domain_of_earned(resellers_sudo)
        return self._find_own(
            resellers_sudo.env["reseller.commission"], [("id", "=", commission_id), *domain]
        )

    @page(EARNED)
    def reseller_earned(self):
        resellers_sudo = self._get_resellers()
        if not self._earns(resellers_sudo):
            raise request.not_found()
        commissions_sudo = resellers_sudo.env["reseller.commission"]
        return self._render_reseller(
            "portal_reseller_earned",
            resellers_sudo[0],
            "earned",
            commissions=commissions_sudo.search(self._get_domain_of_earned(resellers_sudo)),
        )

    @page(f"{EARNED}/<int:commission_id>", methods=["GET", "POST"])
    def reseller_commission(self, commission_id, **post):
        """Show a statement; take the reseller's word on it."""
        commission_sudo = self._find_commission(commission_id)
        errors = {}
        if request.httprequest.method == "POST":
            words = self._read_text(post, "words", 2000, lines=True)
            who = request.env.user.name
            if post.get("answer") == "object" and not words:
                errors["words"] = request.env._("Say what is wrong.")
            else:
                with self._refusals(errors):
                    if post.get("answer") == "object":
                        commission_sudo._object(who, words)
                    else:
                        commission_sudo._agree(who, self._read_text(post, "amount"))
            if not errors:
                return request.redirect(f"{EARNED}/{commission_id}")
        return self._render_reseller(
            "portal_reseller_commission",
            commission_sudo.reseller_id,
            "earned",
            heading=commission_sudo.name,
            commission=commission_sudo,
            until=format_date(request.env, commission_sudo.date_to),
            errors=errors,
        )
