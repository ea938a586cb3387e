from odoo import SUPERUSER_ID, api, models
from odoo.exceptions import AccessError, UserError


class Base(models.AbstractModel):
    """What holds for every model of this addon, on every way in: form, import, RPC, context.

    - The company of a record is that of its creation.
    - What belongs to no company is for all of them: it is changed by who may work in all.
    - A Billing User writes only what a model names; the rest decides about money, rights,
      recipients or lock-out, and is the Billing Manager's.
    """

    _inherit = "base"

    # Of a model on which the group Billing User has rights: the fields that it writes, and those
    # that it gives beside them to new records. A field that stands in neither is the manager's.
    _billing_user_writes = None
    _billing_user_gives = frozenset()

    @api.model_create_multi
    def create(self, vals_list):
        if not self._name.startswith("reseller.") or self.env.su:
            return super().create(vals_list)
        records = self
        if not self._may_write_all():
            records = self._check_billing_user_gives(vals_list)
        if self._may_be_shared() and not self._works_for_all():
            # What is everybody's unless it says whose it is, is its maker's company's.
            own = {"company_id": self.env.company.id}
            vals_list = [{**own, **vals} for vals in vals_list]
        made = super(Base, records).create(vals_list).with_env(self.env)
        made._check_shared()
        return made

    def write(self, vals):
        if not self._name.startswith("reseller."):
            return super().write(vals)
        if not self.env.su:
            self._check_shared()
            if not self._may_write_all():
                self._check_billing_user_writes(vals.keys())
        kept = self._get_companies_kept(vals)
        done = super().write(vals)
        for record, company in kept.items():
            if record.company_id != company:
                raise UserError(
                    self.env._(
                        "%(record)s stays with %(company)s: make it anew in the other company.",
                        record=record.display_name,
                        company=company.name or self.env._("all companies"),
                    )
                )
        return done

    def unlink(self):
        if self._name.startswith("reseller.") and not self.env.su:
            self._check_shared()
        return super().unlink()

    @api.model
    def default_get(self, fields):
        """Override of `base`: personal defaults give a Billing User no value that it may not give."""
        found = super().default_get(fields)
        if not self._name.startswith("reseller.") or self._may_write_all():
            return found
        mine_sudo = (
            self.env["ir.default"]
            .sudo()
            .search(  # whatever company they are for
                [("user_id", "=", self.env.uid), ("field_id.model", "=", self._name)]
            )
        )
        names = set(mine_sudo.mapped("field_id.name"))
        names -= self._billing_user_writes | self._billing_user_gives
        names &= found.keys()
        if names:
            system = self.with_user(SUPERUSER_ID).with_company(self.env.company)
            usual = system.default_get(list(names))
            found = {name: value for name, value in found.items() if name not in names} | usual
        return found

    @api.model
    def fields_get(self, allfields=None, attributes=None):
        """Override of `base`: forms show as read-only what their user may not write."""
        found = super().fields_get(allfields, attributes)
        if self._name.startswith("reseller.") and not self._may_write_all():
            allowed = self._billing_user_writes | self._billing_user_gives
            for name in found.keys() - allowed:
                if attributes is None or "readonly" in attributes:
                    found[name]["readonly"] = True
        return found

    def _get_companies_kept(self, vals):
        """Return {record: company} where values may change it, directly or by where it comes from."""
        field = self._fields.get("company_id")
        if not field or not field.store or not self._auto:
            return {}
        sources = {path.partition(".")[0] for path in self.pool.field_depends[field]}
        if sources.isdisjoint(vals) and "company_id" not in vals:
            return {}
        records_sudo = self.sudo()  # whose company it is need not be readable
        return {record: record.company_id for record in records_sudo}

    def _check_shared(self):
        """Refuse a change of what belongs to no company to who may not work in all companies.

        :raise AccessError: then
        """
        field = self._fields.get("company_id")
        if not self or not field or not field.store or self._transient or field.required:
            return
        records_sudo = self.sudo()  # whose it is, is known
        shared_sudo = records_sudo.filtered(lambda record: not record.company_id)
        if shared_sudo and not (self._works_for_all() and self._may_write_all()):
            raise AccessError(
                self.env._(
                    "%s belongs to every company: a Billing Manager of all companies changes it. "
                    "Make one of your own company's.",
                    shared_sudo[0].display_name,
                )
            )

    @api.model
    def _may_be_shared(self):
        """Whether records of this model say themselves that they belong to no company."""
        field = self._fields.get("company_id")
        return bool(field) and field.store and not field.required and not field.compute

    @api.model
    def _works_for_all(self):
        """Whether the user may work in every company that there is."""
        companies_sudo = self.env["res.company"].sudo()  # those of others count as well
        foreign = [("id", "not in", self.env.user.company_ids.ids)]
        return not companies_sudo.search_count(foreign, limit=1)

    # Billing Users

    @api.model
    def _may_write_all(self):
        """Whether the user's rights on this model hold for all of its fields."""
        return self._billing_user_writes is None or self.env["res.users"]._is_billing_manager()

    def _check_billing_user_writes(self, names):
        # What mail.thread keeps of every document is anybody's who may write it.
        names = {name for name in names if not name.startswith(("message_", "activity_"))}
        refused = sorted(names - self._billing_user_writes)
        if refused:
            self._refuse_to_billing_user(refused)

    @api.model
    def _check_billing_user_gives(self, vals_list):
        """Refuse values of new records that a Billing User may not give, but for their defaults;
        values that a context gives count as well.

        :return: this model without a context's defaults for such values
        """
        allowed = self._billing_user_writes | self._billing_user_gives
        context = {
            key: value
            for key, value in self.env.context.items()
            if not key.startswith("default_") or key.removeprefix("default_") in allowed
        }
        clean = self.with_env(self.env(context=context))
        defaults = {
            key.removeprefix("default_"): value
            for key, value in self.env.context.items()
            if key not in context and key.removeprefix("default_") in self._fields
        }
        vals_list = [{**defaults, **vals} for vals in vals_list]
        asked = {name for vals in vals_list for name in vals} - allowed
        usual = clean.new(clean.default_get(list(asked))) if asked else clean
        for vals in vals_list:
            given = clean.new({name: vals[name] for name in asked & vals.keys()})
            refused = sorted(name for name in asked & vals.keys() if given[name] != usual[name])
            if refused:
                self._refuse_to_billing_user(refused)
        return clean

    @api.model
    def _refuse_to_billing_user(self, names):
        labels = (self._fields[name]._description_string(self.env) for name in names)
        raise AccessError(
            self.env._("Only a Billing Manager may set this: %s.", ", ".join(map(str, labels)))
        )
