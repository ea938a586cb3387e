from odoo import fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL


class ResellerUsageOlderKey(models.Model):
    """Odoo's own API keys of users that may send usage: they open what their user may do.

    They were the way before `reseller.usage.key`, and work until they are revoked.
    """

    _name = "reseller.usage.older.key"
    _description = "Older Key That Sends Usage"
    _auto = False
    _order = "user_id, id"

    name = fields.Char(readonly=True)
    user_id = fields.Many2one("res.users", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    create_date = fields.Datetime(string="Made", readonly=True)
    expiration_date = fields.Datetime(string="Until", readonly=True)

    @property
    def _table_query(self):
        group = self.env.ref("reseller_billing.group_usage_ingestion", raise_if_not_found=False)
        groups_sudo = (group or self.env["res.groups"]).sudo()  # also those that bring it along
        return SQL(
            """
            SELECT DISTINCT key.id, key.name, key.user_id, person.company_id, key.create_date,
                   key.expiration_date
              FROM res_users_apikeys key
              JOIN res_users person ON person.id = key.user_id
              JOIN res_groups_users_rel member ON member.uid = key.user_id
               AND member.gid = ANY(%s)
             WHERE key.scope IS NULL OR key.scope = 'rpc'
            """,
            (groups_sudo | groups_sudo.all_implied_by_ids).ids,
        )

    def action_revoke(self):
        """Delete keys, at once and for good."""
        self.check_access("read")
        self.env["res.users"]._check_billing_manager()
        system = "base.group_system"
        if not self.env.user.has_group(system) and any(
            user.has_group(system) for user in self.user_id
        ):
            # It may serve what has nothing to do with usage.
            raise AccessError(self.env._("The keys of administrators are theirs to delete."))
        keys_sudo = self.env["res.users.apikeys"].sudo()  # users see their own alone
        keys_sudo.browse(self.ids).unlink()
