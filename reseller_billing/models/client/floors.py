"""Whose bills an account's use is on: its own, and on the floor above those of the reseller that buys."""

from odoo.fields import Domain
from odoo.tools import SQL


def billed_until_sql(client):
    """Return the last day of an account that a bill of any floor has as SQL; NULL for none (wholesale W9).

    :param str client: the alias of the table of accounts
    """
    return SQL(
        """
        GREATEST(%s, (SELECT max(buyer.billed_until) FROM reseller_client buyer
                       WHERE buyer.buys_for_id = %s))
        """,
        SQL.identifier(client, "billed_until"),
        SQL.identifier(client, "reseller_id"),
    )


def beneath_sql(buyer):
    """Return the query for the accounts whose use a buyer's account pays for, its own among them: `id` and
    `billing_start`.

    :param str buyer: the alias of the table of accounts, the buyer's
    """
    return SQL(
        """
        SELECT own.id, own.billing_start FROM reseller_client own WHERE own.id = %s
         UNION ALL
        SELECT theirs.id, theirs.billing_start FROM reseller_client theirs
         WHERE theirs.reseller_id = %s
        """,
        SQL.identifier(buyer, "id"),
        SQL.identifier(buyer, "buys_for_id"),
    )


def beneath_domain(client):
    """Return the domain of rows with a `client_id` of the accounts whose use an account pays for."""
    own = Domain("client_id", "=", client.id)
    if client.buys_for_id:
        own |= Domain("client_id.reseller_id", "=", client.buys_for_id.id)
    return own
