from datetime import timedelta

import requests
from odoo import api, fields, models
from odoo.addons.queue_job.jobrunner.channels import ChannelManager
from odoo.addons.queue_job.jobrunner.runner import PG_ADVISORY_LOCK_ID, QueueJobRunner, _channels
from odoo.fields import Domain
from odoo.tools import SQL, config
from odoo.tools.misc import format_datetime

CHANNEL = "root.reseller_billing"
# A runner does not prove that jobs arrive: after so long without one the scheduled action works.
PATIENCE = timedelta(minutes=10)
# A job that was asked for starts sooner, where it arrives.
SOON = timedelta(seconds=60)
PARAMETER = "reseller_billing_queue_job.taken_over_at"


class ResellerQueue(models.AbstractModel):
    """What is known of the queue: its runner, nodes and channels, and what is wrong with them."""

    _name = "reseller.queue"
    _description = "State of the Job Queue"

    @api.model
    def _has_runner(self):
        """Return whether a runner is at work on this database, on any node: it holds a lock."""
        return bool(self._find_runners())

    @api.model
    def _find_runners(self):
        """Return the addresses of the hosts of runners, one at most, as a list."""
        return [
            address or self.env._("this machine")
            for (address,) in self.env.execute_query(
                SQL(
                    """
                    SELECT host(activity.client_addr)
                      FROM pg_locks held
                      LEFT JOIN pg_stat_activity activity ON activity.pid = held.pid
                     WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
                       AND held.database = (
                           SELECT oid FROM pg_database WHERE datname = current_database())
                       AND (held.classid::bigint << 32) | held.objid::bigint = %s
                    """,
                    PG_ADVISORY_LOCK_ID,
                )
            )
        ]

    @api.model
    def _get_capacity(self):
        """Return (how many jobs of ours run at the same time as this node is set up, whether the channel has
        a capacity of its own); the first is None where this node leaves running to others.
        """
        known = {
            channel["name"]: channel.get("capacity")
            for channel in ChannelManager.parse_simple_config(_channels())
        }
        known = {
            name if name.startswith("root") else f"root.{name}": n for name, n in known.items()
        }
        root, own = known.get("root", 1), known.get(CHANNEL)
        if root == 0:
            return None, False
        sizes = [size for size in (root, own) if size]
        return min(sizes, default=None), bool(own)

    @api.model
    def _get_places(self):
        """Return how many places a unit of work has: as many as run at the same time, and two at least."""
        parameters_sudo = self.env["ir.config_parameter"].sudo()  # whoever has work done
        wanted = parameters_sudo.get_param("reseller_billing_queue_job.places") or ""
        places = int(wanted) if wanted.isdecimal() else 0
        return max(2, places or self._get_capacity()[0] or 0)

    @api.model
    def _has_jobs_since(self, moment):
        """Return whether a job of ours has begun or was done since a moment."""
        jobs_sudo = self.env["queue.job"].sudo()  # of which nothing but that is said
        recent = Domain("date_done", ">=", moment) | Domain("date_started", ">=", moment)
        return bool(jobs_sudo.search_count(Domain("channel", "=", CHANNEL) & recent, limit=1))

    @api.model
    def _take_over(self):
        """Note that a scheduled action works now for want of jobs; return whether that is news: it is called
        again and again until the work is done.
        """
        parameters_sudo = self.env["ir.config_parameter"].sudo()  # it is shown in the settings
        before, now = parameters_sudo.get_param(PARAMETER), fields.Datetime.now()
        if before and now - fields.Datetime.to_datetime(before) < PATIENCE:
            return False
        parameters_sudo.set_param(PARAMETER, fields.Datetime.to_string(now))
        return True

    # In words

    @api.model
    def _describe(self):
        """Return what there is of the queue and what is wrong with it: a list of (level, sentence); levels
        are ok, warning and danger.
        """
        runners = self._find_runners()
        if not runners:
            return [
                (
                    "warning",
                    self.env._(
                        "No runner is at work, so that scheduled actions do the work, on one node at a time. "
                        "Start Odoo with server_wide_modules = base,rpc,web,queue_job, and with a capacity "
                        "above 0 for the channel root on one node at least."
                    ),
                )
            ]
        found = [("ok", self.env._("A runner is at work on %s.", ", ".join(runners)))]
        return found + self._describe_nodes() + self._describe_channels() + self._describe_jobs()

    def _describe_nodes(self):
        addresses = [
            address or self.env._("this machine")
            for (address,) in self.env.execute_query(
                SQL(
                    """
                    SELECT DISTINCT host(client_addr) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name LIKE 'odoo-%%'
                     ORDER BY 1
                    """
                )
            )
        ]
        return [
            (
                "ok",
                self.env._("Nodes that are connected to the database: %s.", ", ".join(addresses)),
            )
        ]

    def _describe_channels(self):
        capacity, is_own = self._get_capacity()
        if capacity is None:
            return [
                (
                    "ok",
                    self.env._(
                        "This node leaves running to others (its channels: %s).", _channels()
                    ),
                )
            ]
        found = [
            (
                "ok",
                self.env._(
                    "%(number)s jobs of Reseller Billing run at the same time (channels of this node: "
                    "%(channels)s), at %(places)s places each.",
                    number=capacity,
                    channels=_channels(),
                    places=self._get_places(),
                ),
            )
        ]
        if not is_own:
            found.append(
                (
                    "warning",
                    self.env._(
                        "The channel %(channel)s has no capacity of its own: jobs of others hold up "
                        "billing, and billing those. Add %(channel)s:%(number)s to the channels.",
                        channel=CHANNEL,
                        number=capacity,
                    ),
                )
            )
        workers = config["workers"]
        if workers and capacity >= workers:
            found.append(
                (
                    "warning",
                    self.env._(
                        "A node has %(workers)s workers, and the channel takes %(number)s jobs: with one "
                        "node nobody would be left for the web. Set a capacity below the workers of "
                        "all nodes together.",
                        workers=workers,
                        number=capacity,
                    ),
                )
            )
        return found

    def _describe_jobs(self):
        jobs_sudo = self.env["queue.job"].sudo()  # of which their number and times are said
        ours = [("channel", "=", CHANNEL)]
        found = []
        late = fields.Datetime.now() - SOON
        if jobs_sudo.search_count(
            [*ours, ("state", "=", "enqueued"), ("date_enqueued", "<", late)], limit=1
        ):
            found.append(("danger", self._probe()))
        failed = jobs_sudo.search_count([*ours, ("state", "=", "failed")])
        if failed:
            found.append(
                (
                    "warning",
                    self.env._("Jobs that have failed: %s. Look at them under Job Queue.", failed),
                )
            )
        last = jobs_sudo.search([*ours, ("state", "=", "done")], order="date_done desc", limit=1)
        if last:
            moment = format_datetime(self.env, last.date_done)
            found.append(("ok", self.env._("The last job was done on %s.", moment)))
        parameters_sudo = self.env["ir.config_parameter"].sudo()  # as _take_over
        taken_over = parameters_sudo.get_param(PARAMETER)
        if taken_over:
            moment = format_datetime(self.env, fields.Datetime.to_datetime(taken_over))
            found.append(
                (
                    "warning",
                    self.env._(
                        "On %s no job had arrived for ten minutes, or they had failed, and a scheduled action did the work.",
                        moment,
                    ),
                )
            )
        return found

    def _probe(self):
        """Return why jobs that are asked for do not start, as far as can be seen from here."""
        runner = QueueJobRunner.from_environ_or_config()
        address = f"{runner.scheme}://{runner.host}:{runner.port}"
        try:
            answer = requests.get(
                f"{address}/queue_job/runjob",
                params={"job_uuid": "none"},
                headers={"X-Odoo-Database": self.env.cr.dbname},
                auth=(runner.user, runner.password) if runner.user else None,
                timeout=2,
            )
        except requests.Timeout:
            return self.env._(
                "Jobs are asked for and do not start: %s does not answer in time. All workers may be at "
                "work, or something stands between.",
                address,
            )
        except requests.RequestException:
            return self.env._(
                "Jobs are asked for and do not start: nobody answers at %s. Set host and port of the "
                "runner to the load balancer's (ODOO_QUEUE_JOB_HOST, ODOO_QUEUE_JOB_PORT).",
                address,
            )
        if answer.status_code == 404:
            return self.env._(
                "Jobs are asked for and do not start: %(address)s does not serve the database %(name)s. Let "
                "its dbfilter pass for that host.",
                address=address,
                name=self.env.cr.dbname,
            )
        if answer.status_code in (401, 403):
            return self.env._(
                "Jobs are asked for and do not start: %s wants a log-in. Set user and password of the runner.",
                address,
            )
        return self.env._(
            "Jobs are asked for and do not start, though %(address)s answers (%(status)s): look at the logs "
            "of the nodes.",
            address=address,
            status=answer.status_code,
        )
