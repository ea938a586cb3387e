import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain

from .reseller_queue import PATIENCE

_logger = logging.getLogger(__name__)
# A worker that one place kills again and again is not asked without end.
TRIES = 5
# When to look again after what others hold, in seconds.
LATER = 30
WAITING = Domain("state", "in", ("pending", "enqueued"))


class ResellerWorkMixin(models.AbstractModel):
    """Work whose batches jobs do, on any node: each unit has places, and each place a job that does one
    batch and makes its successor.

    So other work comes in between, and two places mean that one that dies is noticed at once by the next
    job of the other one.
    """

    _inherit = "reseller.work.mixin"

    def _trigger(self):
        """Override: where a runner is at work, jobs do it."""
        if not self.env["reseller.queue"]._has_runner():
            return super()._trigger()
        for unit in self._get_units():
            unit._fill_places()
        # Should none arrive.
        self._trigger_cron(fields.Datetime.now() + PATIENCE)
        return None

    def _get_units(self):
        """Return these units one by one, each with its company."""
        if self._abstract:
            return [self]
        return [
            unit.with_company(unit.company_id) if "company_id" in unit else unit for unit in self
        ]

    def _fill_places(self):
        """Have a job at each place of this unit."""
        places = self._work_places or self.env["reseller.queue"]._get_places()
        for place in range(places):
            self._queue_place(place)

    def _get_place_key(self, place=""):
        """Return by what the job of a place is known; without one, how the keys of this unit begin."""
        return f"reseller_billing/{self._name}/{self.id or 0}/{self.env.company.id}/{place}"

    def _queue_place(self, place, delay=None):
        """Have a job do the next batch at a place, unless one waits there.

        :param delay: in how many seconds; at once if None
        """
        cron_sudo = self.env.ref(self._work_cron).sudo()  # it works for whoever asks for work
        # With nothing of the context of who asked, as the scheduled action has it.
        context = {"allowed_company_ids": self.env.company.ids}
        unit = self.with_user(cron_sudo.user_id).with_context(context)  # pylint: disable=context-overridden
        unit.with_delay(
            description=self.env._(
                "%(name)s: %(unit)s, place %(place)s",
                name=cron_sudo.name,
                unit=(self if self.id else self.env.company).sudo().display_name,  # as above
                place=place + 1,
            ),
            identity_key=self._get_place_key(place),
            max_retries=TRIES,
            eta=delay,
        )._work_place(place)

    def _work_place(self, place):
        """Do a batch at a place, as a job, and queue the next one; return what was done, in words."""
        if not self._abstract and not self.exists():
            return self.env._("It is there no more.")
        done, remaining = self._commit_batch()
        if done and remaining:
            self._queue_place(place)
        elif remaining and not place:
            # Others are at what is left, which may be a person for a moment.
            self._queue_place(place, delay=LATER)
        return self.env._("%(done)s done, %(left)s left", done=done, left=remaining)

    @api.model
    def _cron_work(self):
        """Override: where a runner is at work, see that each place has its job; work where none arrives."""
        queue = self.env["reseller.queue"]
        if not queue._has_runner():
            return super()._cron_work()
        units = self._find_work()
        forsaken = [unit for unit in units if unit._is_forsaken()]
        if forsaken:
            if queue._take_over():
                for unit in forsaken:
                    unit._tell_forsaken()
            return super()._cron_work()
        if any(unit._find_jobs(WAITING) for unit in units):
            # They go on, and somebody has to look again.
            self._trigger_cron(fields.Datetime.now() + PATIENCE)
        for unit in units:
            unit._fill_places()
        return None

    def _find_jobs(self, domain):
        """Return jobs of this unit, seen or not by the user."""
        jobs_sudo = self.env["queue.job"].sudo()  # of which their times are asked for
        key = self._get_place_key()
        return jobs_sudo.search(Domain("identity_key", "=like", f"{key}%") & domain)

    def _is_forsaken(self):
        """Return whether jobs of this unit wait in vain, or have failed to their end: then none of them will
        do it.
        """
        since = fields.Datetime.now() - PATIENCE
        if self._find_jobs(WAITING & Domain("date_created", "<", since)):
            return not self.env["reseller.queue"]._has_jobs_since(since)
        last = self._find_jobs(Domain.TRUE)[:1]
        return last.state == "failed"

    def _tell_forsaken(self):
        """Say that no job has arrived for this unit, so that the scheduled action works instead."""
        minutes = PATIENCE // timedelta(minutes=1)
        _logger.warning(
            "No job of %s was done for %s minutes, or all have failed: the scheduled action works",
            self,
            minutes,
        )
        if not self._abstract and hasattr(self, "message_post"):
            self.message_post(
                body=self.env._(
                    "No job of the queue has arrived for %s minutes, or they have failed: the scheduled action "
                    "goes on instead. "
                    "What is wrong with the queue is in the settings.",
                    minutes,
                )
            )
