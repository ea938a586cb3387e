import base64
import io
import os
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError

# How long an upload is kept that no import has taken.
KEPT = timedelta(days=1)


class ResellerUsageImport(models.Model):
    """The file of an import, from the web client to the reader, never held in memory."""

    _inherit = "reseller.usage.import"

    upload_id = fields.Many2one(
        "ir.attachment",
        compute="_compute_upload_id",
        inverse="_inverse_upload_id",
        help="A file that was uploaded for this import, and becomes its file when that is saved.",
    )

    def _compute_upload_id(self):
        self.upload_id = False

    def _inverse_upload_id(self):
        for one in self.filtered("upload_id"):
            upload_sudo = one._check_upload().sudo()  # nobody may write an attachment's field
            one._find_file().unlink()
            upload_sudo.write({"res_id": one.id, "res_field": "file"})
        self.invalidate_recordset(["file", "upload_id"])

    def _check_upload(self):
        """Return the upload of this import; raise AccessError where it is anything else than this user's."""
        self.ensure_one()
        upload_sudo = self.upload_id.sudo()  # read to be refused
        if (
            upload_sudo.create_uid != self.env.user
            or upload_sudo.res_model != self._name
            or upload_sudo.res_id
            or upload_sudo.res_field
        ):
            raise AccessError(self.env._("This file is not there any more: upload it once more."))
        return self.upload_id

    @api.model
    def _keep_upload(self, stream, filename):
        """Keep a file of this user's until an import takes it as its `upload_id`.

        :param stream: a binary stream
        :return: its attachment
        :raise AccessError: for whom may not import
        """
        self.check_access("create")
        attachments_sudo = self.env["ir.attachment"].sudo()  # of no record yet: for its user alone
        return attachments_sudo._create_from_stream(
            stream, {"name": filename, "res_model": self._name}
        )

    @api.autovacuum
    def _gc_uploads(self):
        """Delete uploads that no import has taken."""
        self.env["ir.attachment"].search(
            [
                ("res_model", "=", self._name),
                ("res_field", "=", False),
                ("res_id", "in", [False, 0]),
                ("create_date", "<", fields.Datetime.now() - KEPT),
            ]
        ).unlink()

    def _find_file(self):
        """Return the attachment, with all rights, that is this import's file."""
        attachments_sudo = self.env["ir.attachment"].sudo()  # what a record holds is its reader's
        return attachments_sudo.search(
            [("res_model", "=", self._name), ("res_field", "=", "file"), ("res_id", "=", self.id)],
            limit=1,
        )

    def _open_file(self):
        """Return the file as a binary stream; it is not held in memory where it lies on a disk."""
        self.ensure_one()
        if self.upload_id:
            attachment_sudo = self._check_upload().sudo()  # it is this user's
        elif saved := self._origin:
            # A form that is being edited has the file as it was saved.
            saved.check_access("read")
            attachment_sudo = saved._find_file()
        else:
            return io.BytesIO(base64.b64decode(self.with_context(bin_size=False).file or b""))
        if attachment_sudo.store_fname:
            path = attachment_sudo._full_path(attachment_sudo.store_fname)
            # Another addon may keep it somewhere else.
            if os.path.isfile(path):
                return open(path, "rb")
        return io.BytesIO(attachment_sudo.raw or b"")
