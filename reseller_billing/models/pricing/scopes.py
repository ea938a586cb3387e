"""Whom a price is for: a client, a group, a reseller, or all. What is nearer to the client wins (rating 1)."""

from odoo.tools import SQL

SCOPES = [
    ("client", "Client"),
    ("group", "Group"),
    ("reseller", "Reseller"),
    ("default", "Default"),
]
# Of each scope, how near it is to the client: the rank of rules in the rating core.
RANKS = {name: rank for rank, (name, _label) in enumerate(reversed(SCOPES))}
NAMES = {rank: name for name, rank in RANKS.items()}
# The fields of a price that say for whom it is, the nearest first; none is set on a default.
SCOPE_FIELDS = {name: f"{name}_id" for name, _label in SCOPES if name != "default"}


def book_sql(client):
    """Return the book of an account as SQL, see reseller.client.

    :param str client: the alias of the table of accounts
    """
    return SQL(
        "(CASE WHEN %s IS NULL THEN 'retail' ELSE 'wholesale' END)",
        SQL.identifier(client, "buys_for_id"),
    )


def scope_of(rule):
    """Return (scope, record that it is for, or None) of a price."""
    for name, field in SCOPE_FIELDS.items():
        if rule[field]:
            return name, rule[field]
    return "default", None


def rank_sql(rule):
    """Return the rank of a price as SQL.

    :param str rule: the alias of the table of prices
    """
    cases = [
        SQL("WHEN %s IS NOT NULL THEN %s", SQL.identifier(rule, field), RANKS[name])
        for name, field in SCOPE_FIELDS.items()
    ]
    return SQL("CASE %s ELSE %s END", SQL(" ").join(cases), RANKS["default"])


def scope_id_sql(rule):
    """Return the id of what a price is for as SQL, zero for a default; see rank_sql."""
    fields = [SQL.identifier(rule, field) for field in SCOPE_FIELDS.values()]
    return SQL("COALESCE(%s, 0)", SQL(", ").join(fields))


def reaches_sql(rule, clients):
    """Return the condition that a price may be one of some clients', whenever it holds, as SQL.

    :param str rule: the alias of the table of prices
    :param clients: their ids; all of one book
    """
    whose = {
        "client_id": SQL("ANY(%s)", clients),
        "group_id": SQL(
            "ANY(ARRAY(SELECT group_id FROM reseller_client_membership WHERE client_id = ANY(%s)))",
            clients,
        ),
        "reseller_id": SQL(
            "ANY(ARRAY(SELECT reseller_id FROM reseller_client WHERE id = ANY(%s)))", clients
        ),
    }
    cases = [
        SQL("WHEN %(field)s IS NOT NULL THEN %(field)s = %(ids)s", field=field, ids=whose[name])
        for name, field in ((name, SQL.identifier(rule, name)) for name in SCOPE_FIELDS.values())
    ]
    return SQL(
        "(%s = (SELECT %s FROM reseller_client client WHERE client.id = ANY(%s) LIMIT 1) "
        "AND CASE %s ELSE TRUE END)",
        SQL.identifier(rule, "book"),
        book_sql("client"),
        clients,
        SQL(" ").join(cases),
    )


def matches_sql():
    """Return the condition that a `rule` is for a `client` of a `reseller`, by a `membership`, which may be
    none, as SQL.
    """
    return SQL(
        """
        (COALESCE(rule.client_id, client.id) = client.id
         AND COALESCE(rule.reseller_id, reseller.id) = reseller.id
         AND (rule.group_id IS NULL OR rule.group_id = membership.group_id)
         AND rule.book = %s)
        """,
        book_sql("client"),
    )


def priced_sql():
    """Return the condition that a price holds for a `bucket`, as for a `client` of a `reseller`, by a
    `membership`, which may be none, as SQL.
    """
    return SQL(
        """
        EXISTS (
            SELECT FROM reseller_price_rule rule
             WHERE rule.active
               AND rule.feature_id = bucket.feature_id
               AND rule.company_id = bucket.company_id
               AND rule.currency_id = reseller.currency_id
               AND daterange(rule.date_from, rule.date_to, '[]') @> bucket.billing_date
               AND %s)
        """,
        matches_sql(),
    )
