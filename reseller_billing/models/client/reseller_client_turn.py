from odoo import fields, models
from odoo.tools import SQL


class ResellerClientTurn(models.Model):
    """A row for each account whose balance is asked for and used at once: who changes it takes a turn.

    The account's own row is a bill's for as long as its batch lasts; nobody is to wait for that.
    """

    _name = "reseller.client.turn"
    _description = "Turn of What Uses an Account's Balance"
    _log_access = False

    client_id = fields.Many2one("reseller.client", required=True, readonly=True, ondelete="cascade")
    number = fields.Integer(required=True, readonly=True, help="How many turns were taken.")

    _client_uniq = models.Constraint("UNIQUE (client_id)", "An account has one turn.")


class ResellerClient(models.Model):
    _inherit = "reseller.client"

    def _take_turn(self):
        """Let what uses up or takes back these accounts' balances not pass each other.

        One of two transactions fails, is repeated, and then sees what the other one did.
        """
        mine = sorted(self.ids)
        taken = SQL(
            "UPDATE reseller_client_turn SET number = (number + 1) %% 1000000 WHERE client_id = ANY(%s)",
            mine,
        )
        self.env.cr.execute(taken)
        if self.env.cr.rowcount == len(mine):
            return
        # The first turns of accounts: only those take an id.
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO reseller_client_turn (client_id, number)
                SELECT client.id, 0 FROM reseller_client client
                 WHERE client.id = ANY(%s)
                   AND NOT EXISTS (SELECT FROM reseller_client_turn turn
                                    WHERE turn.client_id = client.id)
                 ORDER BY client.id
                    ON CONFLICT (client_id) DO NOTHING
                """,
                mine,
            )
        )
        self.env.cr.execute(taken)

    def _keep_usage_out(self):
        """Wait for use that is coming in for these accounts, and have what comes then wait for the end of
        this transaction: it is looked up by days of service that are changing.
        """
        self._take_turn()
        self.env.cr.execute(
            SQL(
                "SELECT FROM reseller_client WHERE id = ANY(%s) ORDER BY id FOR UPDATE",
                sorted(self.ids),
            )
        )
