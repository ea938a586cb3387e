from odoo import api, models

# Says that there are no models; no request can send it.
NO_MODELS = object()


class AccountAnalyticDistributionModel(models.Model):
    _inherit = "account.analytic.distribution.model"

    @api.model
    def _spare_searches(self):
        """Return the context in which the lines of a batch of invoices look for models: where there are none,
        each line of each customer would search in vain.
        """
        return {} if self.search_count([], limit=1) else {"reseller_distributions": NO_MODELS}

    @api.model
    def _get_applicable_models(self, vals):
        """Override of `analytic`: none is searched where billing knows that there is none."""
        if self.env.context.get("reseller_distributions") is NO_MODELS:
            return self.browse()
        return super()._get_applicable_models(vals)
