import logging
from functools import partial

from odoo import SUPERUSER_ID, api, fields, models
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, retrying
from odoo.tools import SQL
from odoo.tools.misc import split_every

from .reseller_lockout_policy import SEVERITY, STATES

_logger = logging.getLogger(__name__)
BATCH = 100
FREE = {"refused_use": "none", "closes_portal": False}


class ResellerLockout(models.Model):
    """How far one debt has climbed its ladder: a client's, or a reseller's own (without client).

    The server actions of stages act on this record: they may write what is refused and closed, send
    mails, call webhooks.
    """

    _name = "reseller.lockout"
    _description = "Lock-out"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "state_since desc, id desc"
    _check_company_auto = True

    reseller_id = fields.Many2one(
        "reseller.reseller", required=True, readonly=True, index=True, ondelete="cascade"
    )
    client_id = fields.Many2one(
        "reseller.client", readonly=True, index="btree_not_null", ondelete="cascade"
    )
    company_id = fields.Many2one(related="reseller_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="reseller_id.currency_id")
    partner_id = fields.Many2one("res.partner", compute="_compute_partner_id")
    stage_id = fields.Many2one("reseller.lockout.stage", readonly=True, ondelete="restrict")
    state = fields.Selection(STATES, required=True, readonly=True, default="clear", index=True)
    state_since = fields.Datetime(readonly=True)
    refused_since = fields.Datetime(readonly=True, help="Since when something is refused.")
    refused_use = fields.Selection(
        [
            ("none", "Nothing"),
            ("marked", "Features that are locked out when owing"),
            ("all", "All metered use"),
        ],
        required=True,
        readonly=True,
        default="none",
        help="What systems that ask before they deliver are refused.",
    )
    closes_portal = fields.Boolean(
        readonly=True, help="Its portal users reach only what they owe and how to pay."
    )
    owed = fields.Monetary(string="Overdue", readonly=True, help="When it was last looked at.")
    days_overdue = fields.Integer(readonly=True, aggregator="max")
    step_ids = fields.One2many("reseller.lockout.step", "lockout_id", readonly=True)

    _client_uniq = models.UniqueIndex("(reseller_id, COALESCE(client_id, 0))")

    @api.depends("client_id.partner_id", "reseller_id.partner_id")
    def _compute_partner_id(self):
        for lockout in self:
            lockout.partner_id = (lockout.client_id or lockout.reseller_id).partner_id

    @api.depends("client_id", "reseller_id", "state")
    def _compute_display_name(self):
        labels = dict(self._fields["state"]._description_selection(self.env))
        for lockout in self:
            debtor = lockout.client_id or lockout.reseller_id
            lockout.display_name = f"{debtor.display_name}: {labels.get(lockout.state, '')}"

    # Climbing and leaving

    @api.model
    def _cron_evaluate(self):
        """Bring all ladders to where today's debts put them, one batch a transaction."""
        cron = self.env["ir.cron"]
        found = [
            (name, ids)
            for name in ("reseller.reseller", "reseller.client")
            for ids in split_every(BATCH, self.env[name]._find_lockout_candidates(), list)
        ]
        remaining = sum(len(ids) for _name, ids in found)
        cron._commit_progress(remaining=remaining)
        for name, ids in found:
            retrying(partial(self._evaluate, self.env[name].browse(ids).exists()), self.env)
            remaining -= len(ids)
            if not cron._report_batch(len(ids), remaining=remaining):
                return

    @api.model
    def _follow(self, debtors, paid=False):
        """Have the ladders of clients, or of resellers, follow when the transaction ends.

        Then all of its changes are known: what is unreconciled and reconciled again in between
        locks nobody. Who pays is free in the same transaction.

        :param bool paid: whether something of theirs was reconciled
        """
        if not debtors:
            return
        precommit = self.env.cr.precommit
        if "reseller_lockout" not in precommit.data:
            precommit.data["reseller_lockout"] = {}
            precommit.add(self._evaluate_followed)
        followed = precommit.data["reseller_lockout"]
        for debtor in debtors:
            key = debtor._name, debtor.id
            followed[key] = followed.get(key, False) or paid

    def _evaluate_followed(self):
        followed = self.env.cr.precommit.data.pop("reseller_lockout", {})
        for name in ("reseller.client", "reseller.reseller"):
            for was_paid in (False, True):
                ids = [
                    key[1] for key, paid in followed.items() if key[0] == name and paid == was_paid
                ]
                debtors_sudo = self.env[name].sudo().browse(ids).exists()  # as _follow was called
                self._evaluate(debtors_sudo, was_paid)
                if was_paid:
                    debtors_sudo._after_payment()

    @api.model
    def _evaluate(self, debtors, paid=False):
        """Bring the ladders of clients, or of resellers, to where their debts put them now.

        Only the ladder of that debt moves.

        :param bool paid: whether something of theirs was reconciled in this transaction
        :return: the reseller.lockout.step records of what changed
        """
        model_sudo = self.sudo()  # the ladder moves by itself, whoever's payment or day moves it
        steps = model_sudo.env["reseller.lockout.step"]
        if not debtors:
            return steps
        debtors = debtors.with_env(model_sudo.env)
        debts = debtors._load_debts()
        owing = debtors.filtered(
            lambda debtor: debts[debtor.id].owed and debtor._get_lockout_policy(debtor._today())
        )
        for lockout in model_sudo._get_lockouts(owing) | model_sudo._find_lockouts(debtors):
            debtor = lockout.client_id or lockout.reseller_id
            debt = debts[debtor.id]
            stage, reason, exception = debtor._get_lockout_stage(debt)
            vals = {"owed": float(debt.owed), "days_overdue": debt.days}
            if stage == lockout.stage_id and (stage.state or "clear") == lockout.state:
                if any(lockout[name] != value for name, value in vals.items()):
                    lockout.write(vals)
            else:
                cause = lockout._get_cause(stage, reason, debt, paid)
                steps |= lockout._move_to(stage, vals, cause, exception)
        return steps

    def _get_cause(self, stage, reason, debt, paid):
        """Return why a lock-out moves to a stage.

        :param reason: what kept its debt from a higher stage, or has ceased to, see
            `reseller.lockout.debtor.mixin`; None for the debt itself
        """
        self.ensure_one()
        if SEVERITY[stage.state or "clear"] >= SEVERITY[self.state]:
            return reason if reason == "ended" else "overdue"
        if debt.owed and reason and reason != "ended":
            return reason
        if float(debt.owed) < self.owed:
            return "paid" if paid else "settled"
        return "policy"

    def _find_lockouts(self, debtors):
        """Return the lock-outs that there are of clients or of resellers' own debts."""
        if debtors._name == "reseller.client":
            return self.search([("client_id", "in", debtors.ids)])
        return self.search([("client_id", "=", False), ("reseller_id", "in", debtors.ids)])

    def _get_lockouts(self, debtors):
        """Return the lock-outs of debtors, made where they lack one."""
        rows = [
            (debtor.reseller_id.id, debtor.id)
            if debtor._name == "reseller.client"
            else (debtor.id, None)
            for debtor in debtors
        ]
        if rows:
            self.env.flush_all()
            # Two that look at one debtor at once: one of the transactions is repeated.
            self.env.cr.execute(
                SQL(
                    """
                    INSERT INTO reseller_lockout (
                        reseller_id, client_id, company_id, state, refused_use, closes_portal,
                        create_uid, create_date, write_uid, write_date)
                    SELECT reseller.id, debtor.client_id, reseller.company_id, 'clear', 'none', FALSE,
                           %(user)s, now() AT TIME ZONE 'UTC', %(user)s, now() AT TIME ZONE 'UTC'
                      FROM unnest(%(resellers)s::int[], %(clients)s::int[])
                           AS debtor (reseller_id, client_id)
                      JOIN reseller_reseller reseller ON reseller.id = debtor.reseller_id
                        ON CONFLICT (reseller_id, COALESCE(client_id, 0)) DO NOTHING
                    """,
                    user=self.env.uid,
                    resellers=[row[0] for row in rows],
                    clients=[row[1] for row in rows],
                )
            )
            debtors.invalidate_recordset(["lockout_ids"])
        return self._find_lockouts(debtors)

    def _move_to(self, stage, vals, cause, exception=None):
        """Leave the present stage and enter another; return the step that tells of it.

        What the stage refused and closed is given free first, so that no action that somebody
        changed keeps an account locked that has paid.
        """
        self.ensure_one()
        before, left = self.state, self.stage_id
        state = stage.state or "clear"
        now = fields.Datetime.now()
        refused_since = self.refused_use != "none" and self.refused_since
        if cause != "again":
            vals = {**vals, "state_since": now}
        self.write({**vals, **FREE, "stage_id": stage.id, "state": state})
        step = self.env["reseller.lockout.step"].create(
            {
                "lockout_id": self.id,
                "at": now,
                "state_from": before,
                "state_to": state,
                "owed": self.owed,
                "days_overdue": self.days_overdue,
                "cause": cause,
                "exception_id": exception and exception.id,
                "user_id": self.env.uid,
            }
        )
        step.failure = "\n".join(
            filter(None, map(self._run_action, (left.leave_action_id, stage.enter_action_id)))
        )
        # A harsher stage goes on with what was refused before.
        self.refused_since = self.refused_use != "none" and (refused_since or now)
        if step.failure:
            summary = self.env._("An action of the lock-out failed")
            self.reseller_id._tell_responsible(self, summary, step.failure)
        return step

    def _run_action(self, action):
        """Run a stage's server action on this lock-out; return what went wrong, or False.

        An action that fails keeps nobody from paying.
        """
        if not action:
            return False
        context = {"active_model": self._name, "active_id": self.id, "active_ids": self.ids}
        try:
            with self.env.cr.savepoint():
                # As the system: a client who pays has no rights on its own lock-out.
                action.with_user(SUPERUSER_ID).with_context(**context).run()
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            raise
        except Exception as error:
            _logger.warning("Action %s failed on lock-out %s", action.id, self.id, exc_info=True)
            return f"{action.name}: {error}"
        finally:
            self.invalidate_recordset()
        return False

    def action_enter_again(self):
        """Do again what the present stage does: its server action may have been changed since.

        :raise AccessError: without the group Billing Manager
        """
        self.env["res.users"]._check_billing_manager()
        self.check_access("read")
        for lockout in self.sudo():  # lock-outs are closed to all users
            lockout._move_to(lockout.stage_id, {}, "again")

    # What clients are refused

    def _felt_sql(self):
        """Return the query for what the `client` of an outer query feels of lock-outs.

        That is its own, and its reseller's where the policy says so, from `felt_from` (UTC) on; of a reseller
        that buys, that of its buyer's account as well (wholesale W3).
        """
        return SQL(
            """
            SELECT lockout.refused_use, policy.rejects_events,
                   CASE WHEN lockout.client_id = client.id THEN lockout.state_since
                        ELSE lockout.refused_since
                             + COALESCE(policy.reaches_clients_days, 0) * interval '1 day'
                        END AS felt_from
              FROM (SELECT own.*, own.client_id = client.id AS is_own FROM reseller_lockout own
                     WHERE own.reseller_id = client.reseller_id
                       AND (own.client_id = client.id OR own.client_id IS NULL)
                     UNION ALL
                    SELECT above.*, FALSE FROM reseller_client buyer
                      JOIN reseller_lockout above ON above.client_id = buyer.id
                     WHERE buyer.buys_for_id = client.reseller_id) AS lockout
              JOIN reseller_lockout_stage stage ON stage.id = lockout.stage_id
              JOIN reseller_lockout_policy policy ON policy.id = stage.policy_id
             WHERE (lockout.is_own OR policy.reaches_clients)
               AND lockout.refused_use != 'none'
            """
        )

    @api.model
    def _rejects_events_sql(self):
        """Return an expression for the moment from which events of `client` are rejected."""
        return SQL(
            "(SELECT min(felt_from) FROM (%s) AS felt "
            "WHERE felt.refused_use = 'all' AND felt.rejects_events)",
            self._felt_sql(),
        )

    @api.model
    def _refused_use_sql(self):
        """Return an expression for what `client` is refused now: "all", "marked" or nothing."""
        return SQL(
            "(SELECT min(felt.refused_use) FROM (%s) AS felt WHERE felt.felt_from <= %s)",
            self._felt_sql(),
            fields.Datetime.now(),
        )

    # Invoices

    def _get_owed_invoices(self):
        """Return the open invoices of these debts, oldest first."""
        found = self.env["account.move"]
        for lockout in self:
            found |= (lockout.client_id or lockout.reseller_id)._get_owed_invoices()
        return found

    def _get_overdue_invoices(self):
        """Return the overdue invoices of this debt, oldest first."""
        self.ensure_one()
        return (self.client_id or self.reseller_id)._get_overdue_invoices()

    def _get_told(self):
        """Return who is told of this debt: who has to pay its overdue invoices, or the debtor."""
        return self._get_overdue_invoices().partner_id or self.partner_id
