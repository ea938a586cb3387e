"""What was sold, and what a contract's line said before it was billed, go from traces to columns; what a
price is for has a name of its own.
"""

COLLECTION = {
    "reseller_client": {
        "charge_failures": "collection_failures",
        "charge_timing": "collection_timing",
        "charge_next_try": "collection_next_try",
        "charge_declined_token_id": "collection_declined_token_id",
    },
    "res_company": {"reseller_charge_retry_days": "reseller_collection_retry_days"},
}


def migrate(cr, version):
    _move_grants(cr)
    # It was called as the quality of a feature is.
    cr.execute("ALTER TABLE reseller_price_rule RENAME COLUMN level TO scope")
    # What takes the money of bills is a collection; a charge is a line of a bill.
    for table, names in COLLECTION.items():
        for old, new in names.items():
            cr.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
            _rename_in_texts(cr, old, new)
    cr.execute(
        """
        UPDATE ir_model_data SET name = replace(name, 'ir_cron_charge', 'ir_cron_collect')
         WHERE module = 'reseller_billing' AND name LIKE 'ir_cron_charge%'
        """
    )
    cr.execute(
        """
        UPDATE ir_act_server SET code = 'model._cron_collect()'
         WHERE code = 'model._cron_charge()'
        """
    )
    cr.execute(
        """
        UPDATE ir_filters
           SET domain = replace(domain, quote_literal('level'), quote_literal('scope')),
               context = replace(context, quote_literal('level'), quote_literal('scope'))
         WHERE model_id = 'reseller.price.rule'
        """
    )


def _rename_in_texts(cr, old, new):
    """Have templates of mails and actions, which updates leave alone, say a field's new name."""
    for table, column, type_ in (
        ("mail_template", "subject", "jsonb"),
        ("mail_template", "body_html", "jsonb"),
        ("ir_act_server", "code", "text"),
        ("ir_filters", "domain", "text"),
        ("ir_filters", "context", "text"),
    ):
        cr.execute(
            f"""
            UPDATE {table}
               SET {column} = regexp_replace({column}::text, %(old)s, %(new)s, 'g')::{type_}
             WHERE {column}::text ~ %(old)s
            """,
            {"old": rf"\m{old}\M", "new": new},
        )


def _move_grants(cr):
    """Fill the columns before the constraints on them are made; traces of charges stay as they are."""
    cr.execute(
        """
        ALTER TABLE reseller_charge
            ADD COLUMN IF NOT EXISTS grants varchar,
            ADD COLUMN IF NOT EXISTS grant_feature_id int4,
            ADD COLUMN IF NOT EXISTS grant_units numeric,
            ADD COLUMN IF NOT EXISTS grant_bonus numeric,
            ADD COLUMN IF NOT EXISTS grant_valid_count int4,
            ADD COLUMN IF NOT EXISTS grant_valid_unit varchar,
            ADD COLUMN IF NOT EXISTS grant_release varchar,
            ADD COLUMN IF NOT EXISTS grant_priority int4,
            ADD COLUMN IF NOT EXISTS grant_vat_mode varchar,
            ADD COLUMN IF NOT EXISTS is_extra bool,
            ADD COLUMN IF NOT EXISTS last_date_invoiced date
        """
    )
    cr.execute(
        """
        UPDATE reseller_charge
           SET grants = trace #>> '{grant,grants}',
               grant_feature_id = NULLIF(trace #>> '{grant,feature_id}', 'false')::int4,
               grant_units = (trace #>> '{grant,units}')::numeric,
               grant_bonus = (trace #>> '{grant,bonus}')::numeric,
               grant_valid_count = (trace #>> '{grant,valid,0}')::int4,
               grant_valid_unit = trace #>> '{grant,valid,1}',
               grant_release = trace #>> '{grant,release}',
               grant_priority = (trace #>> '{grant,priority}')::int4,
               grant_vat_mode = COALESCE(trace #>> '{grant,vat_mode}', 'use')
         WHERE trace ? 'grant'
        """
    )
    cr.execute(
        """
        UPDATE reseller_charge
           SET is_extra = TRUE,
               last_date_invoiced = NULLIF(trace ->> 'last_date_invoiced', 'false')::date
         WHERE trace ? 'last_date_invoiced'
        """
    )
