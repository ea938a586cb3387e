from itertools import pairwise

from odoo import api, fields, models, tools
from odoo.exceptions import ValidationError


class ResellerTaxChange(models.Model):
    """Use is taxed by its day, a fee by the last day of its cycle (rating 26)."""

    _name = "reseller.tax.change"
    _description = "Change of a Tax Rate"
    _order = "date, id"
    _check_company_auto = True
    _rec_name = "date"

    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company, index=True
    )
    old_tax_id = fields.Many2one(
        "account.tax",
        string="Until Then",
        required=True,
        check_company=True,
        domain="[('type_tax_use', '=', 'sale')]",
        help="The tax of days before.",
    )
    new_tax_id = fields.Many2one(
        "account.tax",
        string="From Then",
        required=True,
        check_company=True,
        domain="[('type_tax_use', '=', 'sale')]",
        help="The tax of this day and of those after it.",
    )
    date = fields.Date(string="First Day", required=True)

    _date_uniq = models.UniqueIndex(
        "(company_id, old_tax_id, date)", "This tax changes on this day already."
    )

    @api.constrains("old_tax_id", "new_tax_id", "date", "company_id")
    def _check_chain(self):
        for change in self:
            old, new = change.old_tax_id, change.new_tax_id
            if old == new:
                raise ValidationError(self.env._("A tax changes to another one: choose two."))
            if {old.type_tax_use, new.type_tax_use} != {"sale"}:
                raise ValidationError(
                    self.env._("Rates change of sales taxes: choose two of those.")
                )
            if old.price_include != new.price_include:
                raise ValidationError(
                    self.env._(
                        "%(old)s and %(new)s are not alike: prices include both taxes, or neither.",
                        old=old.name,
                        new=new.name,
                    )
                )
        # A branch goes by the changes of its parents as well as by its own.
        companies_sudo = self.env["res.company"].sudo()  # also branches that one does not see
        for company in companies_sudo.search([("id", "child_of", self.company_id.ids)]):
            changes_sudo = self.sudo()  # also the parents'
            known = changes_sudo.search([("company_id", "parent_of", company.id)])
            for rows in self._group(known):
                for before, after in pairwise(rows):
                    if before.new_tax_id != after.old_tax_id or before.date == after.date:
                        raise ValidationError(
                            self.env._(
                                "On %(day)s %(new)s begins, so that the change of %(next)s has to go "
                                "on from it: a tax must have one rate a day.",
                                day=before.date,
                                new=before.new_tax_id.name,
                                next=after.date,
                            )
                        )

    @api.model
    def _group(self, changes):
        """Return lists of changes, in order, that have taxes in common."""
        groups = []
        for change in changes.sorted("date"):
            taxes = {change.old_tax_id, change.new_tax_id}
            rows = [change]
            for group in [group for group in groups if group[0] & taxes]:
                groups.remove(group)
                taxes |= group[0]
                rows = group[1] + rows
            groups.append((taxes, rows))
        return [sorted(rows, key=lambda row: (row.date, row.id)) for _taxes, rows in groups]

    @api.model_create_multi
    def create(self, vals_list):
        changes = super().create(vals_list)
        self.env.registry.clear_cache()
        return changes

    def write(self, vals):
        done = super().write(vals)
        self.env.registry.clear_cache()
        return done

    def unlink(self):
        done = super().unlink()
        self.env.registry.clear_cache()
        return done

    # Reading

    @tools.ormcache("company.id")
    def _get_chains(self, company):
        """Return {tax id: ((first day or None, tax id), ...)}: the rates that a tax had and will have."""
        changes_sudo = self.sudo()  # whoever makes an invoice makes it by these
        changes = changes_sudo.search([("company_id", "parent_of", company.id)])
        chains = {}
        for rows in self._group(changes):
            chain = (
                (None, rows[0].old_tax_id.id),
                *((row.date, row.new_tax_id.id) for row in rows),
            )
            chains |= dict.fromkeys((tax for _day, tax in chain), chain)
        return chains

    @api.model
    def _get_cuts(self, company):
        """Return the days, in order, from which a tax of a company has another rate."""
        chains = self._get_chains(company).values()
        return tuple(sorted({day for chain in chains for day, _tax in chain if day}))

    @api.model
    def _concerns(self, taxes, company):
        """Whether one of some taxes of a company has or had another rate."""
        chains = self._get_chains(company)
        return any(tax.id in chains for tax in taxes)

    @api.model
    def _apply(self, taxes, company, day):
        """Return taxes as they are on a day; it does not matter when products were given the new ones."""
        if not self._concerns(taxes, company):
            return taxes
        chains, found = self._get_chains(company), []
        for tax in taxes:
            number = tax.id
            for first, one in chains.get(tax.id, ()):
                if first is None or first <= day:
                    number = one
            found.append(number)
        return taxes.browse(tools.unique(found))
