from odoo import api, fields, models
from odoo.addons.base.models.res_partner import _tz_get
from odoo.exceptions import ValidationError

from .reseller_usage_file import DELIMITERS, ENCODINGS

TARGETS = [
    ("client", "Client (reference)"),
    ("feature", "Feature (code)"),
    ("time", "Time"),
    ("quantity", "Quantity"),
    ("level", "Level (code)"),
    ("id", "Event ID"),
    ("source", "Source"),
    ("corrects", "Corrects (event ID)"),
    ("properties", "Kept with the event"),
]
# What an import and the mapping that it is saved as have in common.
OPTIONS = (
    "format",
    "encoding",
    "delimiter",
    "decimal_sign",
    "time_format",
    "tz",
    "source",
    "default_client_id",
    "default_feature_id",
    "default_quantity",
)


# By which names columns are known.
WORDS = {
    "client": {"client", "client_id", "client_ref", "account", "account_id", "customer"},
    "feature": {"feature", "feature_code", "product", "product_code", "service", "sku"},
    "time": {"time", "timestamp", "datetime", "date", "day", "occurred_at"},
    "quantity": {"quantity", "qty", "units", "usage", "used"},
    "level": {"level", "tier", "quality"},
    "id": {"id", "event_id", "external_id"},
    "source": {"source"},
    "corrects": {"corrects"},
}


class ResellerUsageMappingMixin(models.AbstractModel):
    """How the columns of a file become usage events."""

    _name = "reseller.usage.mapping.mixin"
    _description = "Reading of Usage Files"

    format = fields.Selection(
        [("table", "Table"), ("focus", "FOCUS 1.0")],
        required=True,
        default="table",
        help="A table's columns are chosen one by one; those of FOCUS, the open format of cost and "
        "usage files, are known.",
    )
    encoding = fields.Selection(ENCODINGS, required=True, default="auto")
    delimiter = fields.Selection(
        DELIMITERS, string="Columns Are Cut By", required=True, default="auto"
    )
    decimal_sign = fields.Selection(
        [("point", "1,234.5"), ("comma", "1.234,5")],
        string="Numbers",
        required=True,
        default="point",
    )
    time_format = fields.Selection(
        [
            ("iso", "2026-01-31 23:59:59"),
            ("dmy", "31.01.2026 23:59:59"),
            ("mdy", "01/31/2026 23:59:59"),
            ("unix", "Seconds since 1970"),
        ],
        string="Times",
        required=True,
        default="iso",
        help="Seconds, or the time of day, may be left out.",
    )
    tz = fields.Selection(
        _tz_get,
        string="Time Zone",
        required=True,
        default="UTC",
        help="Of times without an offset. A day without a time is its noon here.",
    )
    source = fields.Char(
        required=True,
        default="file",
        help="Names the system that the files come from. An event ID counts once for each source.",
    )
    default_client_id = fields.Many2one(
        "reseller.client", string="Client", help="Of rows that name none."
    )
    default_feature_id = fields.Many2one(
        "reseller.feature", string="Feature", help="Of rows that name none."
    )
    default_quantity = fields.Char(string="Quantity", help="Of rows that give none.")


class ResellerUsageMapping(models.Model):
    _name = "reseller.usage.mapping"
    _description = "Mapping of Usage Files"
    _inherit = "reseller.usage.mapping.mixin"
    _order = "name, id"
    _check_company_auto = True

    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        index=True,
        ondelete="cascade",
        default=lambda self: self.env.company,
        help="Empty: for all companies.",
    )
    default_client_id = fields.Many2one(check_company=True)
    default_feature_id = fields.Many2one(check_company=True)
    column_ids = fields.One2many("reseller.usage.column", "mapping_id", string="Columns", copy=True)

    _name_uniq = models.Constraint(
        "UNIQUE NULLS NOT DISTINCT (company_id, name)", "Another mapping has this name already."
    )


class ResellerUsageColumn(models.Model):
    _name = "reseller.usage.column"
    _description = "Column of a Usage File"
    _order = "sequence, id"

    mapping_id = fields.Many2one(
        "reseller.usage.mapping", index="btree_not_null", ondelete="cascade"
    )
    import_id = fields.Many2one("reseller.usage.import", index="btree_not_null", ondelete="cascade")
    company_id = fields.Many2one(
        "res.company", compute="_compute_company_id", store=True, index=True
    )
    sequence = fields.Integer(default=10)
    name = fields.Char(string="Column", required=True)
    target = fields.Selection(TARGETS, string="Is", help="Empty: the column is left out.")
    sample = fields.Char(string="First Values", readonly=True)

    _one_owner = models.Constraint(
        "CHECK (num_nonnulls(mapping_id, import_id) = 1)",
        "A column is of a mapping or of an import.",
    )

    @api.depends("mapping_id.company_id", "import_id.company_id")
    def _compute_company_id(self):
        for column in self:
            column.company_id = column.mapping_id.company_id or column.import_id.company_id

    @api.constrains("target", "mapping_id", "import_id")
    def _check_target(self):
        targets = dict(self._fields["target"]._description_selection(self.env))
        for owner in [*self.mapping_id, *self.import_id]:
            for target, columns in owner.column_ids.grouped("target").items():
                if target and target != "properties" and len(columns) > 1:
                    raise ValidationError(
                        self.env._(
                            "Only one column can be the %(target)s: %(columns)s.",
                            target=targets[target],
                            columns=", ".join(columns.mapped("name")),
                        )
                    )

    @api.model
    def _guess_targets(self, header):
        """Return {name of a column: target} as far as names tell; each target once."""
        found = {}
        for name in header:
            word = name.lower().replace(" ", "_")
            for target, words in WORDS.items():
                if word in words and target not in found.values():
                    found[name] = target
        return found
