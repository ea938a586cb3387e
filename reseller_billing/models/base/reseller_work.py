import logging
import time

from odoo import api, models

_logger = logging.getLogger(__name__)


class ResellerWorkMixin(models.AbstractModel):
    """Long work that is done batch by batch, each committed.

    A scheduled action does it, or what takes its place: the batches are the same, and several may be at
    them at the same time. Work is of a record, or of a company: then its unit is this model itself, with
    that company.
    """

    _name = "reseller.work.mixin"
    _description = "Work in Batches"

    # External id of the scheduled action.
    _work_cron = None
    # How many may be at one unit at the same time; None: any number.
    _work_places = None

    def _trigger(self):
        """Hook: have the work on these units begin, or go on after it was stopped."""
        self._trigger_cron()

    def _trigger_cron(self, at=None):
        """Have the scheduled action wake up.

        :param at: a UTC datetime or a list of them; at once if None
        """
        cron_sudo = self.env.ref(self._work_cron).sudo()  # whoever has work done may wake it up
        cron_sudo._trigger(at)

    @api.model
    def _find_work(self):
        """Return the units that there is work on, as a list."""
        raise NotImplementedError

    def _count_remaining(self):
        """Return how much is left of this unit, in what its batches count."""
        raise NotImplementedError

    def _iterate_work(self):
        """Do this unit's work batch by batch, each committed.

        :return: an iterator of (how much was done, how much remains); None for the first where others are
            at what remains
        """
        raise NotImplementedError

    def _get_round(self):
        """Return how long to go on with this unit where it is dear to begin again, in seconds."""
        return 0

    @api.model
    def _read_batch_size(self, name, default):
        """Return the size of a batch: a system parameter, or the default where there is none that is a number
        above zero.
        """
        parameters_sudo = self.env["ir.config_parameter"].sudo()  # whoever does the work
        wanted = parameters_sudo.get_param(name) or ""
        return int(wanted) if wanted.isdecimal() and int(wanted) else default

    def _commit_batch(self):
        """Do one batch of this unit and commit it, or as many as it is worth while to begin for.

        :return: (how much was done, how much remains), see _iterate_work
        """
        until = time.monotonic() + self._get_round()
        done = remaining = 0
        for number, remaining in self._iterate_work():
            done += number or 0
            # To its end, what comes after the last batch as well.
            if remaining and (number is None or time.monotonic() >= until):
                break
        return done, remaining

    @api.model
    def _cron_work(self):
        """Do all there is to do, as long as the scheduled action has time.

        One unit that fails keeps no other from its work; what is raised is raised in the end.
        """
        cron, began = self.env["ir.cron"], time.monotonic()
        is_over = cron._is_over()
        # What is left of units before to others that are at it, and how many units come after.
        left_over, failure, units = 0, None, self._find_work()
        if units and is_over:
            cron._commit_progress(remaining=len(units))
            return
        for others, unit in zip(reversed(range(len(units))), units, strict=True):
            try:
                until = began + unit._get_round()
                cron._commit_progress(remaining=unit._count_remaining() + others + left_over)
                for done, remaining in unit._iterate_work():
                    if remaining and done is None:
                        left_over += remaining
                        cron._commit_progress(remaining=others + left_over)
                        break
                    more = remaining + others
                    left = cron._report_batch(done or 0, remaining=more, until=until)
                    if not left and more:
                        return
            except Exception as error:
                self.env.cr.rollback()
                _logger.exception("Work on %s has failed", unit)
                failure = failure or error
        if failure:
            raise failure
