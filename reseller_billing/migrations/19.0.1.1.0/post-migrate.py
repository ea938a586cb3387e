"""What bills have covered of use goes from columns of its days to rows of its own."""

FORMER_SENDER = "{{ object.company_id.email_formatted or user.email_formatted }}"
OF_LOCKOUTS = (
    "{{ object.client_id.reseller_id._get_sender() or object.company_id.email_formatted or "
    "user.email_formatted }}"
)
SENDERS = {
    "mail_template_statement": "{{ object.reseller_id._get_sender() or user.email_formatted }}",
    "mail_template_usage_alert": "{{ object.reseller_id._get_sender() or user.email_formatted }}",
    "mail_template_lockout": OF_LOCKOUTS,
    "mail_template_lockout_left": OF_LOCKOUTS,
    "mail_template_declined": "{{ object.reseller_client_id.reseller_id._get_sender() or "
    "user.email_formatted }}",
}


def migrate(cr, version):
    # What a bill has rated of use that a later one has covered since was not kept: all use of the cycles
    # that it has charges of, so that it is fresh again when that bill is made void. Rating goes by the
    # difference: what is fresh without need comes to nothing.
    cr.execute(
        """
        INSERT INTO reseller_usage_coverage (bucket_id, floor_id, version, statement_id)
        SELECT DISTINCT bucket.id, bucket.client_id, 0, statement.id
          FROM reseller_statement statement
          JOIN reseller_charge charge ON charge.statement_id = statement.id
          JOIN reseller_usage_daily bucket
            ON bucket.client_id = charge.client_id
           AND bucket.feature_id = charge.feature_id
           AND bucket.billing_date BETWEEN charge.cycle_start AND charge.cycle_end
           AND bucket.billing_date < statement.bill_date
           AND bucket.statement_id IS DISTINCT FROM statement.id
         WHERE statement.state IN ('approved', 'invoiced')
           AND charge.kind IN ('usage', 'overage') AND charge.price_rule_id IS NOT NULL
        """
    )
    cr.execute(
        """
        -- Every account has its turns.
        INSERT INTO reseller_client_turn (client_id, kind, number)
        SELECT id, kind, 0 FROM reseller_client CROSS JOIN unnest(ARRAY['balance', 'service']) AS kind
        """
    )
    cr.execute(
        """
        -- A bill that a credit note made void, and those that billed its days again and are void as well.
        WITH void AS (
            SELECT bucket.id AS bucket_id, statement.client_id, statement.id AS statement_id,
                   COALESCE(note.date, invoice.date, statement.bill_date) AS freed_on
              FROM reseller_usage_daily bucket
              JOIN reseller_statement former ON former.id = bucket.former_statement_id
              JOIN reseller_statement statement
                ON statement.client_id = former.client_id
               AND statement.kind = former.kind
               AND statement.bill_date = former.bill_date
               AND statement.state = 'void'
              LEFT JOIN account_move note ON note.id = statement.credit_note_id
              LEFT JOIN account_move invoice ON invoice.id = statement.invoice_id
        ), rows AS (
            SELECT bucket_id, client_id, 1 AS version, statement_id, NULL::date AS freed_on FROM void
             UNION ALL
            SELECT bucket_id, client_id, NULL, statement_id, freed_on FROM void
             UNION ALL
            SELECT id, client_id, 1, statement_id, NULL FROM reseller_usage_daily
             WHERE statement_id IS NOT NULL
        )
        INSERT INTO reseller_usage_coverage (bucket_id, floor_id, version, statement_id, freed_on)
        SELECT * FROM rows ORDER BY bucket_id, statement_id, version NULLS LAST
        """
    )
    cr.execute("UPDATE reseller_usage_daily SET is_pending = TRUE WHERE statement_id IS NULL")
    cr.execute(
        """
        UPDATE reseller_statement preview SET rated_use = rated.use
          FROM (SELECT preview_id, jsonb_agg(jsonb_build_array(id, 1) ORDER BY id) AS use
                  FROM reseller_usage_daily
                 WHERE preview_id IS NOT NULL AND statement_id IS NULL
                 GROUP BY preview_id) AS rated
         WHERE preview.id = rated.preview_id
        """
    )
    cr.execute("ALTER TABLE reseller_usage_daily DROP COLUMN statement_id")
    cr.execute(
        """
        UPDATE reseller_prepaid_lot lot
           SET tax = (line.price_total - line.price_subtotal)
                     * CASE WHEN move.move_type = 'out_refund' THEN -1 ELSE 1 END
          FROM reseller_charge sold
          JOIN reseller_statement statement ON statement.id = sold.statement_id
          JOIN account_move move ON move.id = statement.invoice_id
          JOIN account_move_line line ON line.charge_id = sold.id AND line.move_id = move.id
         WHERE sold.id = lot.charge_id
        """
    )
    cr.execute(
        """
        UPDATE reseller_prepaid_entry entry SET tax = sign(entry.cost) * lot.tax
          FROM reseller_prepaid_lot lot
         WHERE lot.id = entry.lot_id AND entry.kind IN ('buy', 'cancel')
        """
    )
    cr.execute(
        """
        UPDATE reseller_prepaid_entry entry SET tax = line.price_subtotal - line.price_total
          FROM account_move_line line
          JOIN reseller_charge back ON back.id = line.charge_id
          JOIN reseller_manual_charge item ON item.id = back.manual_charge_id
         WHERE entry.kind = 'refund' AND entry.cost != 0 AND entry.move_id = line.move_id
           AND item.refund_lot_id = entry.lot_id
        """
    )
    # Files that are being taken in begin anew: what rows without an id have said was counted in memory. What
    # is there already stays as it is.
    cr.execute(
        """
        UPDATE reseller_usage_import
           SET last_row = 0, rows_done = 0, accepted = 0, duplicates = 0, rejected = 0, reasons = NULL
         WHERE state = 'running'
        """
    )
    # Mails about clients go out under the reseller's name, where nobody has chosen another sender.
    for name, sender in SENDERS.items():
        cr.execute(
            """
            UPDATE mail_template SET email_from = %s
             WHERE id = (SELECT res_id FROM ir_model_data
                          WHERE module = 'reseller_billing' AND name = %s)
               AND COALESCE(email_from, %s) = %s
            """,
            [sender, name, FORMER_SENDER, FORMER_SENDER],
        )
