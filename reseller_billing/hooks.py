from odoo.tools import SQL

# Children before parents: each table may be emptied once those above it are.
TABLES = (
    "reseller_billing_run_line",
    "reseller_prepaid_entry",
    "reseller_prepaid_lot",
    "reseller_wallet_entry",
    "reseller_wallet_lot",
    "reseller_wallet_request",
    "reseller_charge",
    "reseller_refill",
    "reseller_manual_charge",
    "reseller_usage_alert",
    "reseller_usage_column",
    "reseller_usage_import",
    "reseller_usage_mapping",
    "reseller_usage_daily",
    "reseller_usage_line",
    "reseller_usage_rejection",
    "reseller_statement",
    "reseller_billing_run",
    "reseller_price_tier",
    "reseller_price_level",
    "reseller_price_rule",
    "reseller_client_feature",
    "reseller_client_membership",
    "reseller_client",
    "reseller_client_group",
    "reseller_reseller",
    "reseller_feature_level",
    "reseller_feature",
)


def uninstall_hook(env):
    """Let go of the books and empty the addon's tables, in an order that no foreign key minds.

    Posted invoices stay as they are. Contracts of billing accounts stay, and bill nothing unasked.
    """
    cr = env.cr
    # The tables are emptied by SQL, which leaves the uploaded files behind.
    env["ir.attachment"].search(
        [("res_model", "=", "reseller.usage.import"), ("res_field", "!=", False)]
    ).unlink()
    cr.execute("UPDATE account_move SET reseller_statement_id = NULL, reseller_client_id = NULL")
    cr.execute("UPDATE account_move_line SET charge_id = NULL WHERE charge_id IS NOT NULL")
    cr.execute(
        "UPDATE contract_contract SET reseller_client_id = NULL, generation_type = NULL "
        "WHERE generation_type = 'reseller'"
    )
    cr.execute(
        "UPDATE payment_transaction SET reseller_client_id = NULL "
        "WHERE reseller_client_id IS NOT NULL"
    )
    cr.execute(
        "UPDATE product_template SET reseller_feature_id = NULL "
        "WHERE reseller_feature_id IS NOT NULL"
    )
    # These two name each other.
    cr.execute("UPDATE reseller_manual_charge SET refill_id = NULL, refund_lot_id = NULL")
    cr.execute("UPDATE res_company SET reseller_usage_product_id = NULL")
    for table in TABLES:
        cr.execute(SQL("DELETE FROM %s", SQL.identifier(table)))
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
