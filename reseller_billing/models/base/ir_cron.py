import time

from odoo import api, models


class IrCron(models.Model):
    _inherit = "ir.cron"

    @api.model
    def _is_over(self):
        """Return whether the time of a scheduled action was over before this call.

        Odoo makes ten calls at least, however long each takes, and ends a server, or its worker, that has
        been at its actions for two minutes. A call that reports that nothing is done and something is left ends
        the calls; the one before has asked for the action to be begun again, after the others.
        """
        return time.monotonic() >= self.env.context.get("cron_end_time", float("inf"))

    @api.model
    def _report_batch(self, processed=0, remaining=0, until=None):
        """Commit a batch of a scheduled action, and return whether there is time for another one.

        Where there is none and work is left, the action is called again at once: Odoo would come back to
        it with the next poll, a minute later. Who leaves work to others that are at it reports by
        `_commit_progress`, which waits for the poll.

        :param int processed: how many records were worked on
        :param int remaining: how many are left
        :param until: a moment of time.monotonic() until which to go on where Odoo's time is over, of work
            that is dear to begin again
        """
        left = self._commit_progress(processed, remaining=remaining)
        if not left and until and remaining and time.monotonic() < until:
            return True
        cron_id = self.env.context.get("cron_id")
        if remaining and not left and cron_id:
            self.browse(cron_id)._trigger()
        return bool(left)
