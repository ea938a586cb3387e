"""What was sold, and what a contract's line said before it was billed, go from traces to columns; what a
price is for, and what takes the money of bills, have names of their own.
"""

# A price's reach was called as the quality of a feature is; a charge is a line of a bill, and what takes its
# money a collection. By model: the fields, as they were and as they are; and the columns of those that are stored.
RENAMED = {
    "reseller.price.rule": {"level": "scope"},
    "reseller.client": {
        "charge_failures": "collection_failures",
        "charge_timing": "collection_timing",
        "charge_next_try": "collection_next_try",
        "charge_declined_token_id": "collection_declined_token_id",
        "charge_state": "collection_state",
    },
    "res.company": {"reseller_charge_retry_days": "reseller_collection_retry_days"},
    "res.config.settings": {"reseller_charge_retry_days": "reseller_collection_retry_days"},
}
NOT_STORED = {"charge_state"}
# Where people have written names of fields, which updates leave alone.
TEXTS = (
    ("mail_template", "subject", "jsonb"),
    ("mail_template", "body_html", "jsonb"),
    ("ir_act_server", "code", "text"),
    ("ir_filters", "domain", "text"),
    ("ir_filters", "context", "text"),
    ("ir_filters", "sort", "text"),
    ("ir_exports_line", "name", "text"),
)


def migrate(cr, version):
    _move_grants(cr)
    # Made here it is there at once, however many days there are.
    cr.execute(
        "ALTER TABLE reseller_usage_daily ADD COLUMN IF NOT EXISTS version int4 NOT NULL DEFAULT 1"
    )
    cr.execute("ALTER TABLE reseller_usage_daily ALTER COLUMN version DROP DEFAULT")
    _add_books(cr)
    for model, names in RENAMED.items():
        for old, new in names.items():
            _rename_field(cr, model, old, new)
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


def _add_books(cr):
    """All that there is is retail; what a reseller bills its clients itself is on paper."""
    for table in ("reseller_price_rule", "reseller_statement", "reseller_charge"):
        # There at once, however many rows there are.
        cr.execute(
            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS book varchar NOT NULL DEFAULT 'retail'"
        )
        cr.execute(f"ALTER TABLE {table} ALTER COLUMN book DROP DEFAULT")
    for table in ("reseller_statement", "reseller_charge"):
        cr.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS is_paper bool")
    cr.execute("ALTER TABLE reseller_statement ADD COLUMN IF NOT EXISTS paper_total numeric")
    cr.execute(
        """
        WITH paper AS (
            UPDATE reseller_statement statement
               SET is_paper = TRUE, paper_total = statement.amount_total
              FROM reseller_reseller reseller
             WHERE reseller.id = statement.reseller_id AND reseller.invoice_to = 'none'
               AND statement.invoice_id IS NULL
            RETURNING statement.id
        )
        UPDATE reseller_charge SET is_paper = TRUE WHERE statement_id IN (SELECT id FROM paper)
        """
    )


def _rename_field(cr, model, old, new):
    """Rename a field with its column, what refers to it, and its name in texts."""
    table = model.replace(".", "_")
    if model != "res.config.settings" and old not in NOT_STORED:
        cr.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    # The field stays the same record: defaults and what was tracked of it refer to that.
    cr.execute(
        "UPDATE ir_model_fields SET name = %s WHERE model = %s AND name = %s", [new, model, old]
    )
    for pattern in ("field_{table}__{name}", "selection__{table}__{name}__"):
        before, after = (pattern.format(table=table, name=name) for name in (old, new))
        cr.execute(
            """
            UPDATE ir_model_data SET name = replace(name, %(before)s, %(after)s)
             WHERE module = 'reseller_billing' AND starts_with(name, %(before)s)
               AND (name = %(before)s OR %(before)s LIKE 'selection%%')
            """,
            {"before": before, "after": after},
        )
    for where, column, type_ in TEXTS:
        only = ""
        if old == "level":
            # A word of its own elsewhere.
            only = {
                "ir_filters": "AND model_id = 'reseller.price.rule'",
                "ir_exports_line": "AND export_id IN (SELECT id FROM ir_exports"
                " WHERE resource = 'reseller.price.rule')",
            }.get(where)
            if only is None:
                continue
        cr.execute(
            f"""
            UPDATE {where}
               SET {column} = regexp_replace({column}::text, %(old)s, %(new)s, 'g')::{type_}
             WHERE {column}::text ~ %(old)s {only}
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
    # What was chosen for money alone, where it is the default, now holds for packages as well.
    cr.execute(
        """
        UPDATE product_template
           SET reseller_vat_mode = (
               SELECT jsonb_object_agg(key, value) FROM jsonb_each(reseller_vat_mode)
                WHERE value != '"use"')
         WHERE reseller_vat_mode @? '$.* ? (@ == "use")' AND reseller_grants IS DISTINCT FROM 'money'
        """
    )
    cr.execute(
        """
        DELETE FROM ir_default preset USING ir_model_fields field
         WHERE field.id = preset.field_id AND field.model = 'product.template'
           AND field.name = 'reseller_vat_mode' AND preset.json_value = '"use"'
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
               -- Packages of units were taxed when they were sold, whatever it says.
               grant_vat_mode = CASE WHEN trace #>> '{grant,grants}' = 'units' THEN 'receipt'
                                     ELSE COALESCE(trace #>> '{grant,vat_mode}', 'use') END
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
