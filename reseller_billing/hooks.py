from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from odoo.tools import SQL


def uninstall_hook(env):
    """Let go of the books and empty the addon's tables, in an order that no foreign key minds.

    Posted invoices stay as they are. Contracts of billing accounts stay, and bill nothing unasked.
    """
    cr = env.cr
    # The tables are emptied by SQL, which leaves the uploaded files behind.
    env["ir.attachment"].search(
        [("res_model", "=", "reseller.usage.import"), ("res_field", "!=", False)]
    ).unlink()
    cr.execute(
        "UPDATE contract_contract SET generation_type = NULL WHERE generation_type = 'reseller'"
    )
    env.flush_all()
    _empty_tables(env)
    # What books and contracts name outlives the addon: Odoo removes only what it still knows as ours.
    cr.execute(
        """
        DELETE FROM ir_model_data
         WHERE module = 'reseller_billing'
           AND (
                model = 'res.partner'
             OR (
                    model IN ('product.product', 'product.template')
                AND EXISTS (
                    SELECT FROM product_product AS product
                     WHERE ir_model_data.res_id = CASE ir_model_data.model
                           WHEN 'product.product' THEN product.id ELSE product.product_tmpl_id END
                       AND (
                            EXISTS (SELECT FROM account_move_line WHERE product_id = product.id)
                         OR EXISTS (SELECT FROM contract_line WHERE product_id = product.id)
                       )
                )
             )
           )
        """
    )
    env.invalidate_all()
    env.registry.clear_cache()


def _empty_tables(env):
    """Empty the tables of this addon's models, and whatever names their rows elsewhere."""
    tables = {
        env[model.model]._table
        for model in env["ir.model"].search([("model", "=like", "reseller.%")])
        if model.model in env and env[model.model]._auto
    }
    parents = {table: set() for table in tables}
    links, firm = defaultdict(list), set()
    for child, column, parent, is_nullable in env.execute_query(
        SQL(
            """
            SELECT key.conrelid::regclass::text, col.attname, key.confrelid::regclass::text,
                   NOT col.attnotnull
              FROM pg_constraint key
              JOIN pg_attribute col ON col.attrelid = key.conrelid AND col.attnum = key.conkey[1]
             WHERE key.contype = 'f' AND key.confrelid::regclass::text = ANY(%s)
            """,
            list(tables),
        )
    ):
        if child not in tables or child == parent:
            if is_nullable:
                _forget(env, child, column)
        else:
            parents[child].add(parent)
            if is_nullable:
                links[child, parent].append(column)
            else:
                firm.add((child, parent))
    while True:
        try:
            order = list(TopologicalSorter(parents).static_order())
            break
        except CycleError as error:
            # Tables that name each other: where a name may be missing, it is.
            cycle = error.args[1]
            child, parent = next(
                pair for pair in pairwise(reversed(cycle)) if pair in links and pair not in firm
            )
            for column in links[child, parent]:
                _forget(env, child, column)
            parents[child].discard(parent)
    for table in reversed(order):
        env.cr.execute(SQL("DELETE FROM %s", SQL.identifier(table)))


def _forget(env, table, column):
    env.cr.execute(
        SQL(
            "UPDATE %(table)s SET %(column)s = NULL WHERE %(column)s IS NOT NULL",
            table=SQL.identifier(table),
            column=SQL.identifier(column),
        )
    )
