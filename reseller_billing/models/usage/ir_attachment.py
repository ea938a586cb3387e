import contextlib
import filecmp
import hashlib
import os
import pathlib
import time
import uuid

from odoo import api, models
from odoo.exceptions import UserError

CHUNK = 1 << 20
# Of a file that is being written; how long it may take, in seconds.
PART = "part-"
KEPT = 24 * 3600


class IrAttachment(models.Model):
    """Files that are too large to be held in memory."""

    _inherit = "ir.attachment"

    @api.model
    def _create_from_stream(self, stream, vals):
        """Create an attachment of what a binary stream holds, piece by piece.

        Odoo's own ways take the content as one value, and keep the words of a text once more.

        :param dict vals: further values
        :raise UserError: where another file has the same checksum
        """
        attachment = self.create({"mimetype": "application/octet-stream", **vals})
        if self._storage() != "file":
            attachment.raw = stream.read()
            return attachment
        os.makedirs(self._filestore(), exist_ok=True)
        part = os.path.join(self._filestore(), f"{PART}{uuid.uuid4().hex}")
        try:
            checksum, size = hashlib.sha1(usedforsecurity=False), 0
            with open(part, "wb") as written:
                while chunk := stream.read(CHUNK):
                    written.write(chunk)
                    checksum.update(chunk)
                    size += len(chunk)
            digest = checksum.hexdigest()
            name = f"{digest[:2]}/{digest}"
            path = self._full_path(name)
            # What Odoo works out from the content, its own `write` drops.
            models.BaseModel.write(
                attachment, {"store_fname": name, "checksum": digest, "file_size": size}
            )
            # So that no file is collected before this transaction ends.
            attachment.flush_recordset()
            self._mark_for_gc(name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if not os.path.exists(path):
                os.replace(part, path)
            elif not filecmp.cmp(part, path, shallow=False):
                raise UserError(self.env._("The attachment collides with an existing file."))
        finally:
            if os.path.exists(part):
                os.unlink(part)
        return attachment

    @api.autovacuum
    def _gc_parts(self):
        """Delete what was being written when its process died."""
        for part in pathlib.Path(self._filestore()).glob(f"{PART}*"):
            with contextlib.suppress(FileNotFoundError):
                if part.stat().st_mtime < time.time() - KEPT:
                    part.unlink()
