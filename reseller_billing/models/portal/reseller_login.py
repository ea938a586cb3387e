import uuid
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

LASTS = timedelta(minutes=30)
MAX_REASON = 500


class ResellerLogin(models.Model):
    """A reseller's user who worked as a client's: who, as whom, why, from when to when."""

    _name = "reseller.login"
    _description = "Log-in as a Client"
    _order = "date_from desc, id desc"
    _rec_name = "client_id"

    reseller_id = fields.Many2one(
        "reseller.reseller", required=True, readonly=True, index=True, ondelete="restrict"
    )
    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one(related="reseller_id.company_id", store=True, index=True)
    by_user_id = fields.Many2one(
        "res.users", string="User", readonly=True, index=True, ondelete="set null"
    )
    user_id = fields.Many2one(
        "res.users", string="User of the Client", readonly=True, index=True, ondelete="set null"
    )
    # The users may be deleted one day.
    by_name = fields.Char(string="Who", required=True, readonly=True)
    as_name = fields.Char(string="As", required=True, readonly=True)
    reason = fields.Char(required=True, readonly=True)
    date_from = fields.Datetime(string="From", required=True, readonly=True)
    date_until = fields.Datetime(string="At Latest Until", required=True, readonly=True)
    date_end = fields.Datetime(string="Ended", readonly=True)
    end_cause = fields.Selection(
        [
            ("returned", "Returned"),
            ("expired", "Time was up"),
            ("right", "The right was withdrawn"),
            ("logout", "Logged out"),
        ],
        readonly=True,
    )

    @api.model
    def _begin(self, user, client, target, reason):
        """Enter that a reseller's user begins to work as a client's.

        :param user: the reseller's user
        :param client: a client of the reseller
        :param target: the client's user
        :param str reason: why, for the provider and the client to read
        :return: a dict for the session: the ``id`` of the log, and by what `_find_end` knows the
            user again
        :raise AccessError: without the right
        :raise UserError: without a reason
        """
        self._check_may(user, client, target)
        reason = (reason or "").strip()
        if not reason:
            raise UserError(self.env._("Say why: the client and the provider can read it."))
        now = fields.Datetime.now()
        log = self.create(
            {
                "reseller_id": client.reseller_id.id,
                "client_id": client.id,
                "by_user_id": user.id,
                "user_id": target.id,
                "by_name": user.name,
                "as_name": target.name,
                "reason": reason[:MAX_REASON],
                "date_from": now,
                "date_until": now + LASTS,
            }
        )
        nonce = str(uuid.uuid4())
        return {"id": log.id, "nonce": nonce, "token": user._compute_session_token(nonce)}

    @api.model
    def _check_may(self, user, client, target):
        resellers, _clients = user._get_portal_roles()
        reseller = client.reseller_id
        if (
            not user.active
            or reseller not in resellers
            or not reseller.portal_login_as
            or target == user
            or target not in client._get_portal_users()
            # Who is locked out reaches what it owes, and that need not be with this reseller.
            or target.partner_id._get_closed_lockouts()
            or user.partner_id._get_closed_lockouts()
        ):
            raise AccessError(self.env._("You may not log in as this client."))

    def _find_end(self, kept):
        """Return why this log-in is over, as a value of `end_cause`; nothing while it lasts.

        :param dict kept: what `_begin` gave for the session
        """
        self.ensure_one()
        if self.end_cause:
            return self.end_cause
        if fields.Datetime.now() >= self.date_until:
            return "expired"
        try:
            self._check_may(self.by_user_id, self.client_id, self.user_id)
        except AccessError:
            return "right"
        return None if self._knows(kept) else "right"

    def _knows(self, kept):
        """Whether the reseller's user is who it was: active, and with the same password."""
        user = self.by_user_id
        return user.active and kept["token"] == user._compute_session_token(kept["nonce"])

    def _end(self, cause):
        self.filtered(lambda log: not log.end_cause).write(
            {"date_end": fields.Datetime.now(), "end_cause": cause}
        )
