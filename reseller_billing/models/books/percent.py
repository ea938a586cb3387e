"""Percentages that reports group: of several rows, that of their sums."""

from odoo.tools import SQL


def percent_sql(report, query, part, whole, rows=None):
    """Return the aggregate of what a part is of a whole in per cent, for _read_group_select; of several currencies there
    is none.

    :param report: a model with `currency_id`
    :param str part: a field, as `whole`
    :param str rows: a field: rows in which it is zero have no part
    """
    part, whole, currency = (
        report._field_to_sql(report._table, name, query) for name in (part, whole, "currency_id")
    )
    condition = (
        SQL("FILTER (WHERE %s != 0)", report._field_to_sql(report._table, rows, query))
        if rows
        else SQL()
    )
    return SQL(
        "CASE WHEN MIN(%(currency)s) = MAX(%(currency)s) "
        "THEN SUM(%(part)s) %(condition)s * 100 / NULLIF(SUM(%(whole)s), 0) END",
        currency=currency,
        part=part,
        condition=condition,
        whole=whole,
    )
