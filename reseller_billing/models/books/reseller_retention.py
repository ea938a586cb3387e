from odoo import api, fields, models
from odoo.tools import SQL

BATCH = 10_000


class ResellerRetention(models.AbstractModel):
    """Forgets what is kept longer than the settings say; books, counts and amounts stay."""

    _name = "reseller.retention"
    _description = "How Long Things Are Kept"

    @api.autovacuum
    def _gc_rejections(self):
        """Delete rejections that were replayed or dismissed; open ones wait for a decision."""
        rejections = self.env["reseller.usage.rejection"]
        found = rejections.browse()
        for company, before in self._get_limits("reseller_keep_rejections"):
            found |= rejections.search(
                [
                    ("company_id", "=", company.id),
                    ("state", "!=", "open"),
                    ("write_date", "<", before),
                ],
                limit=BATCH,
            )
        found.unlink()
        return len(found), len(found) >= BATCH

    @api.autovacuum
    def _gc_files(self):
        """Delete the files of imports that are done; what they brought, and its counts, stay."""
        found = self.env["ir.attachment"]
        for company, before in self._get_limits("reseller_keep_imports"):
            imports = self.env["reseller.usage.import"].search(
                [
                    ("company_id", "=", company.id),
                    ("state", "in", ("done", "failed", "undone")),
                    ("write_date", "<", before),
                ]
            )
            found |= found.search(
                [
                    ("res_model", "=", imports._name),
                    ("res_field", "=", "file"),
                    ("res_id", "in", imports.ids),
                ],
                limit=BATCH,
            )
        found.unlink()
        return len(found), len(found) >= BATCH

    @api.autovacuum
    def _gc_logins(self):
        """Delete the log of who worked as a client."""
        logins = self.env["reseller.login"]
        found = logins.browse()
        for company, before in self._get_limits("reseller_keep_logins"):
            found |= logins.search(
                [("company_id", "=", company.id), ("date_from", "<", before)], limit=BATCH
            )
        found.unlink()
        return len(found), len(found) >= BATCH

    @api.autovacuum
    def _gc_properties(self):
        """Empty the properties of events; the events, which bills rest on, stay."""
        done = 0
        for company, before in self._get_limits("reseller_keep_properties"):
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE reseller_usage_line SET properties = NULL
                     WHERE id IN (
                        SELECT id FROM reseller_usage_line
                         WHERE company_id = %s AND occurred_at < %s AND properties IS NOT NULL
                         LIMIT %s)
                    """,
                    company.id,
                    before,
                    BATCH,
                )
            )
            done += self.env.cr.rowcount
        self.env["reseller.usage.line"].invalidate_model(["properties"])
        return done, done >= BATCH

    def _get_limits(self, setting):
        """Yield (company, the moment before which things are forgotten) of companies that forget."""
        for company in self.env["res.company"].search([(setting, ">", 0)]):
            yield company, fields.Datetime.subtract(fields.Datetime.now(), months=company[setting])
