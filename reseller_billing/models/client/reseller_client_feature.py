from itertools import pairwise

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from . import reseller_client_part  # noqa: F401


class ResellerClientFeature(models.Model):
    _name = "reseller.client.feature"
    _description = "Enrolment of a Client in a Feature"
    _inherit = "reseller.client.part.mixin"
    _order = "client_id, feature_id, date_from, id"
    _check_company_auto = True
    _billing_user_writes = frozenset(("feature_id", "date_from", "date_to", "quantity"))
    _billing_user_gives = frozenset(("client_id",))

    client_id = fields.Many2one("reseller.client", required=True, index=True, ondelete="cascade")
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    feature_id = fields.Many2one("reseller.feature", required=True, index=True, ondelete="restrict")
    date_from = fields.Date(string="From", required=True, help="First day, inclusive.")
    date_to = fields.Date(string="To", help="Last day, inclusive. Empty: open.")
    quantity = fields.Float(
        default=1.0,
        min_display_digits=0,
        help="How many the client has: the recurring fee is due for each. "
        "Zero switches a feature off that the client would have automatically.",
    )

    _dates_ordered = models.Constraint(
        "CHECK (date_to IS NULL OR date_from <= date_to)",
        "An enrolment's last day must not be before its first.",
    )
    _quantity_positive = models.Constraint(
        "CHECK (quantity >= 0)", "An enrolment's quantity must not be negative."
    )
    _no_overlap = models.Constraint(
        "EXCLUDE USING gist (int4range(client_id, client_id, '[]') WITH &&, "
        "int4range(feature_id, feature_id, '[]') WITH &&, "
        "daterange(date_from, date_to, '[]') WITH &&) DEFERRABLE INITIALLY DEFERRED",
        "A client's enrolments in one feature must not overlap.",
    )

    @api.constrains("date_from", "date_to", "client_id", "feature_id")
    def _check_overlap(self):
        siblings = self.search(
            [("client_id", "in", self.client_id.ids), ("feature_id", "in", self.feature_id.ids)]
        )
        for rows in siblings.grouped(lambda row: (row.client_id, row.feature_id)).values():
            rows = rows.sorted("date_from")
            for row, following in pairwise(rows):
                if not row.date_to or row.date_to >= following.date_from:
                    raise ValidationError(
                        self.env._(
                            "%(client)s, %(feature)s: the enrolment from %(first)s reaches into the "
                            "one from %(second)s. End it on the day before.",
                            client=row.client_id.display_name,
                            feature=row.feature_id.name,
                            first=row.date_from,
                            second=following.date_from,
                        )
                    )

    def _describe_part(self):
        return self.env._("this enrolment")
