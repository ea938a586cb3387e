from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

# Odoo lets portal users read companies: how these bill is not theirs to know.
OFFICE = "base.group_user"


class ResCompany(models.Model):
    _inherit = "res.company"

    reseller_usage_product_id = fields.Many2one(
        "product.product",
        string="Generic Usage Product",
        ondelete="restrict",
        default=lambda self: self.env.ref(
            "reseller_billing.product_usage", raise_if_not_found=False
        ),
        help="Gives taxes and income account to charges of features without a product of their own.",
        groups=OFFICE,
    )
    reseller_billing_delay = fields.Integer(
        string="Billing Delay (hours)",
        default=24,
        help="A bill is due this many hours after its date has begun in the client's time zone, "
        "so that usage that comes in a little late is still on it.",
        groups=OFFICE,
    )
    reseller_late_days = fields.Integer(
        string="Late Usage Window (days)",
        default=62,
        help="Usage of days that are billed already is taken, and billed as an adjustment, "
        "while it is not older than this. Older events are rejected, for a person to decide.",
        groups=OFFICE,
    )

    reseller_refuse_unpriced = fields.Boolean(
        string="Refuse Unpriced Use",
        help="Systems that ask before they deliver are refused what has no price. Use that was made "
        "is taken in all the same.",
        groups=OFFICE,
    )
    reseller_key_requests = fields.Integer(
        string="Requests per Minute",
        default=6000,
        help="That a metering system may send, with one key. More are refused with 429. 0: any.",
        groups=OFFICE,
    )
    reseller_key_rejections = fields.Integer(
        string="Rejected Events per Minute",
        default=10000,
        help="Of one key: a request with more of them is refused as a whole with 429, and nothing of "
        "it is stored. 0: any.",
        groups=OFFICE,
    )
    reseller_accounting_date = fields.Selection(
        [("bill", "The invoice date"), ("served", "The last day served")],
        string="Accounting Date of Bills",
        required=True,
        default="bill",
        help="With the last day served, January's use that is billed on 1 February lies in January's books and "
        "taxes, unless these are locked.",
        groups=OFFICE,
    )
    reseller_review_runs = fields.Boolean(
        string="Review Billing Runs",
        help="New runs are prepared and compared with the last bills, and posted once approved.",
        groups=OFFICE,
    )
    reseller_approver_differs = fields.Boolean(
        string="Approver Is Another Person",
        help="Whoever prepared a run may not approve it.",
        groups=OFFICE,
    )
    reseller_review_factor = fields.Float(
        string="Outlier Factor",
        default=2.0,
        help="A bill is listed as an outlier when it is so many times its predecessor, or more; "
        "or so many times smaller.",
        groups=OFFICE,
    )

    # How long things are kept; 0: for good.

    def _get_exchange_account(self, is_gain):
        """Return Odoo's account of exchange differences.

        :raise UserError: when the company has none
        """
        kind = "income" if is_gain else "expense"
        account = self[f"{kind}_currency_exchange_account_id"]
        if not account:
            raise UserError(
                self.env._("Choose the accounts of exchange differences in Odoo's settings.")
            )
        return account

    def _conflict_with_prices(self):
        """Let a run that is started and a change of prices at the same time not pass each other.

        Both write a row of the company: one of the two transactions fails and is repeated, and then
        sees what the other one did.
        """
        self.env.cr.execute(
            SQL(
                "UPDATE res_company SET reseller_late_days = reseller_late_days WHERE id = ANY(%s)",
                sorted(self.ids),
            )
        )
