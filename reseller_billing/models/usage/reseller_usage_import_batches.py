import logging
from functools import partial

from odoo import api, models
from odoo.exceptions import ConcurrencyError, UserError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, retrying
from odoo.tools import SQL
from odoo.tools.misc import split_every

from ...tools import read_committed
from .reseller_usage_import import BATCH, COUNTS, PLACE, SHOWN, _Outcome

_logger = logging.getLogger(__name__)
# How long one call works on a file, in seconds: on one that is read from its beginning, as workbooks are, and on
# one that is gone on with.
FROM_BEGINNING = 30
ROUND = 10


class ResellerUsageImport(models.Model):
    """Files are taken in, batch by batch."""

    _inherit = "reseller.usage.import"

    _work_cron = "reseller_billing.ir_cron_usage_import"
    _work_places = 1

    @api.model
    def _cron_process(self):
        """Take long files in, one batch a transaction; one that was stopped goes on where it was."""
        self._cron_work()

    @api.model
    def _find_work(self):
        """Override of the mixin: files that are taken in."""
        uploads = self.search([("state", "=", "running")], order="id")
        return [upload.with_company(upload.company_id) for upload in uploads]

    def _get_round(self):
        """Override of the mixin: a workbook is read from its first row whenever the work on it begins again."""
        return ROUND if self.last_offset else FROM_BEGINNING

    def _count_remaining(self):
        """Override of the mixin: rows, of those that the file had when it began."""
        return max(self.row_count - self.rows_done, 0)

    def _iterate_work(self):
        """Override of the mixin: the rows of this file, batch by batch.

        One file that cannot be read does not hold up those behind it.
        """
        self.ensure_one()
        try:
            if self.replaces:
                done = self._work(self._take_replacing)
                yield self.row_count if done else None, 0 if done else self._count_remaining()
                return
            after = self.last_row, self.last_offset
            header, rows = self._open(after)
            for batch in split_every(BATCH, self._read_events(header, rows), list):
                until = batch[-1][0], rows.offset
                done = self._work(partial(self._take, batch, after, until))
                yield len(batch) if done else None, self._count_remaining()
                if not done:
                    return
                after = until
            self._forget_said()
            self.state = "done"
            yield 0, 0
        except (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, ConcurrencyError):
            raise
        except Exception as error:
            self.env.cr.rollback()
            if not isinstance(error, UserError):
                _logger.exception("Usage file %s cannot be taken in", self.id)
            self.write({"state": "failed", "failure": str(error)})
            yield 0, 0

    def _work(self, function):
        """Call a function in a transaction of its own, again where others are at work on the same; return
        what it returns.
        """

        def work():
            read_committed(self.env.cr)
            return function()

        self.env.cr.commit()  # pylint: disable=invalid-commit  # what has read the file, or counted
        return retrying(work, self.env)

    def _wait_for_replacing(self):
        """Wait for the company's other files that replace."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "SELECT FROM reseller_usage_import WHERE company_id = %s AND replaces "
                "ORDER BY id FOR UPDATE",
                self.company_id.id,
            )
        )

    def _hold(self, after):
        """Have this file for this transaction; return whether it is not another one's, and where it was.

        :param after: (row, offset) after which the next batch begins
        """
        if not self.try_lock_for_update(allow_referencing=True):
            return False
        self.invalidate_recordset(["state", *COUNTS, *PLACE, "reasons"])
        return self.state == "running" and (self.last_row, self.last_offset) == after

    def _create_missing(self):
        """Make what the rows name and Odoo lacks, where that is asked for.

        :return: what a person should know of it, or False
        """
        return False

    def _ingest(self, batch, scope=None):
        """Ingest rows as (number, key, event); see reseller.usage.line.ingest."""
        self.ensure_one()
        lines = self.env["reseller.usage.line"].with_company(self.company_id)
        lines._check_may_send()
        kept = [
            {"import_id": self.id, "import_row": number, "import_key": key}
            for number, key, _event in batch
        ]
        return lines._ingest([event for _number, _key, event in batch], kept, scope)

    def _take_all(self):
        """Take the whole file in, without commit; return values that say what came of it."""
        outcome, number = _Outcome(), 0
        scope = self._open_scope() if self.replaces else None
        self._forget_said()
        header, table = self._open()
        for rows in split_every(BATCH, self._read_events(header, table), list):
            batch = self._key_rows(rows)
            result = self._ingest(batch, scope)
            if scope:
                self._check_told(batch, result["rejected"])
            outcome.add(batch, result)
            number = batch[-1][0]
        self._forget_said()
        vals = {**outcome.counts, "reasons": outcome.reasons, "last_row": number, "notice": False}
        if scope:
            gone, names = self.env["reseller.usage.line"]._close_scope(self.company_id)
            vals.update(exchanged=scope.exchanged, voided=gone)
            if names:
                vals["notice"] = self.env._(
                    "These clients have no row in the file, and lose their use of these days: %s.",
                    ", ".join(names),
                )
        return vals

    def _check_told(self, batch, rejected):
        """Refuse a replacing file with rejected rows of which nobody can tell what they replace."""
        unknown = []
        for entry in rejected:
            number, key, event = batch[entry["index"]]
            if not isinstance(event, dict) or event.get("id") == key:
                unknown.append(f"{number}: {entry['reason']}")
        if unknown:
            raise UserError(
                self.env._(
                    "Rows without an event ID cannot be taken in, and so nothing is replaced: nobody could "
                    "tell what was there before of them. Mend or leave out:\n%s",
                    "\n".join(unknown[:SHOWN]),
                )
            )

    def _open_scope(self):
        """Open the scope that the file replaces: its sources' use of the days, clients and features.

        Files that replace are taken in one after the other: each voids what it finds at its beginning.
        """
        self._wait_for_replacing()
        sources = {
            event.get("source")
            for _number, _key, _digest, event in self._read_events(*self._open())
            if isinstance(event, dict)
        }
        condition = SQL(
            "line.source = ANY(%s) AND line.billing_date BETWEEN %s AND %s",
            list(sources),
            self.replace_from,
            self.replace_to,
        )
        for column, records in (
            ("client_id", self.replace_client_ids),
            ("feature_id", self.replace_feature_ids),
        ):
            if records:
                condition = SQL(
                    "%s AND %s = ANY(%s)", condition, SQL.identifier("line", column), records.ids
                )
        return self.env["reseller.usage.line"]._open_scope(self.company_id, condition)

    def _take_whole(self):
        """Take the whole file in, with what it replaces, in one transaction, without commit."""
        vals = self._take_all()
        vals["notice"] = "\n".join(filter(None, (self.notice, vals["notice"])))
        self.write({**vals, "state": "done"})

    def _take_replacing(self):
        """Take a file that replaces in, see _take_whole; return whether it was there to be taken."""
        self._wait_for_replacing()
        self.invalidate_recordset(["state"])
        if self.state != "running":
            return False
        self._take_whole()
        return True

    def _take(self, rows, after, until):
        """Take rows in and count them, without commit; return whether they were there to be taken.

        :param after: (row, offset) after which they come
        :param until: (row, offset) of the last one
        """
        if not self._hold(after):
            return False
        batch = self._key_rows(rows)
        outcome = _Outcome({name: self[name] for name in COUNTS}, self.reasons)
        outcome.add(batch, self._ingest(batch))
        row, offset = until
        self.write(
            {
                **outcome.counts,
                "reasons": outcome.reasons,
                "last_row": row,
                "last_offset": offset,
            }
        )
        return True
