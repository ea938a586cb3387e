from odoo import api, fields, models
from odoo.tools import SQL

KINDS = [
    ("balance", "What uses up or takes back its balance"),
    ("service", "What changes its days"),
]


class ResellerClientTurn(models.Model):
    """Rows for each account that those lock, or write, who must not pass each other.

    The account's own row is a bill's for as long as its batch lasts; nobody is to wait for that.
    """

    _name = "reseller.client.turn"
    _description = "Turn of What Changes an Account"
    _log_access = False

    client_id = fields.Many2one("reseller.client", required=True, readonly=True, ondelete="cascade")
    kind = fields.Selection(KINDS, required=True, readonly=True)
    number = fields.Integer(required=True, readonly=True, help="Changes with each turn.")

    _kind_uniq = models.Constraint("UNIQUE (client_id, kind)", "An account has one turn of a kind.")


class ResellerClient(models.Model):
    _inherit = "reseller.client"

    @api.model_create_multi
    def create(self, vals_list):
        clients = super().create(vals_list)
        self.env.flush_all()
        for kind, _label in KINDS:
            clients._make_turns(kind)
        return clients

    def _make_turns(self, kind):
        """Make the rows that are not there yet; only those take an id."""
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO reseller_client_turn (client_id, kind, number)
                SELECT client.id, %s, 0 FROM reseller_client client
                 WHERE client.id = ANY(%s)
                   AND NOT EXISTS (SELECT FROM reseller_client_turn turn
                                    WHERE turn.client_id = client.id AND turn.kind = %s)
                 ORDER BY client.id
                    ON CONFLICT (client_id, kind) DO NOTHING
                """,
                kind,
                self.ids,
                kind,
            )
        )

    def _take_turn(self, kind="balance"):
        """Have those who take turns of a kind of these accounts not pass each other.

        One of two transactions waits; if it has but one snapshot, it fails then and is repeated, and so
        sees what the other one did.
        """
        self.env.cr.execute(
            SQL(
                """
                SELECT FROM reseller_client_turn WHERE client_id = ANY(%s) AND kind = %s
                 ORDER BY client_id FOR NO KEY UPDATE
                """,
                self.ids,
                kind,
            )
        )
        if self.env.cr.rowcount < len(self):
            self._make_turns(kind)
        self.env.cr.execute(
            SQL(
                "UPDATE reseller_client_turn SET number = (number + 1) %% 1000000 "
                "WHERE client_id = ANY(%s) AND kind = %s",
                self.ids,
                kind,
            )
        )

    def _keep_usage_out(self):
        """Wait for use that is coming in for these accounts, and have what comes then wait for the end of
        this transaction: it is looked up by days of service that are changing.
        """
        self._take_turn()
        self._take_turn("service")
