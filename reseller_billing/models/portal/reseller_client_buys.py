from odoo import SUPERUSER_ID, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ... import rating


class ResellerClient(models.Model):
    """What clients buy and choose in their portal."""

    _inherit = "reseller.client"

    def _pays_itself(self):
        """Whether the client is who pays, so that it may buy and have itself charged."""
        self.ensure_one()
        return (
            self.reseller_id.invoice_to == "client"
            and self._get_debtor() == self.partner_id.commercial_partner_id
        )

    def _get_offered_packages(self):
        """Return the packages that this client may buy in the portal."""
        self.ensure_one()
        products = self.env["product.product"]
        if self.state != "active" or not self._pays_itself():
            return products
        return products.search(
            [
                ("reseller_grants", "!=", False),
                ("reseller_in_portal", "=", True),
                # Others would be owed, and usable, with one press.
                ("reseller_release", "!=", "invoiced"),
                ("list_price", ">", 0),
                ("company_id", "in", (False, self.company_id.id)),
            ],
            order="name, id",
        )

    def _get_package_total(self, product):
        """Return what a package costs this client with the taxes of its sale, a Decimal in its bills' currency."""
        self.ensure_one()
        price = rating.exact_of(self.currency_id.round(self._get_package_price(product)))
        return (
            price if product._is_taxed_later(self.company_id) else self._with_taxes(product, price)
        )

    def _get_package_price(self, product):
        """Return what a package costs this client, as priced, in the currency of its bills."""
        self.ensure_one()
        return product.currency_id._convert(
            product.lst_price, self.currency_id, self.company_id, self._today()
        )

    def _buy_package(self, product):
        """Return the invoice of a package that this client wants; an open one is not made twice. None where it
        cannot be billed, which the responsible is told.

        The system makes it, as it makes refills: invoices ask for the rights of who makes them.
        """
        self.ensure_one()
        self._conflict_with_others()
        items = self.env["reseller.manual.charge"].with_user(SUPERUSER_ID)
        open_items = items.search(
            [
                ("client_id", "=", self.id),
                ("product_id", "=", product.id),
                ("refill_id", "=", False),
                ("statement_id.invoice_id", "any", self.env["account.move"]._get_offers_domain()),
            ],
            limit=1,
        )
        if not open_items:
            self._check_purchase(self._get_package_price(product))
            try:
                with self.env.cr.savepoint():
                    open_items = items.create(
                        {
                            "client_id": self.id,
                            "product_id": product.id,
                            "name": product.display_name,
                            "date": self._today(),
                            "quantity": 1,
                            "unit_price": self._get_package_price(product),
                        }
                    )
                    open_items.action_bill_now()
            except UserError as error:
                summary = self.env._("%s could not be bought in the portal", product.display_name)
                self.reseller_id._tell_responsible(self, summary, str(error), once=True)
                return None
        offer = open_items.statement_id.invoice_id
        if offer._is_pro_forma():
            offer._follow_rates(self._today())
        return offer

    def _get_packages_on_paper(self):
        """Return the packages of units that its reseller may sell this client on papers."""
        self.ensure_one()
        products = self.env["product.product"]
        reseller = self.reseller_id
        # Before it buys, what is sold is the provider's to invoice.
        if (
            self.state != "active"
            or reseller.settlement != "resale"
            or not reseller._is_paper_on(self._today())
        ):
            return products
        return products.search(
            [
                ("reseller_grants", "=", "units"),
                ("reseller_in_portal", "=", True),
                ("company_id", "in", (False, self.company_id.id)),
            ],
            order="name, id",
        )

    def _sell_on_paper(self, product, price):
        """Sell a package to this client on a paper of its reseller's, as the system; see _buy_package.

        :param price: of one, in the currency of its bills, as the reseller says
        :return: the paper
        :raise UserError: for a package that is not offered, or a price below zero
        """
        self.ensure_one()
        if product not in self._get_packages_on_paper() or price < 0:
            raise UserError(
                self.env._("Choose a package that is offered, and a price that is not below zero.")
            )
        self._conflict_with_others()
        item = (
            self.env["reseller.manual.charge"]
            .with_user(SUPERUSER_ID)
            .create(
                {
                    "client_id": self.id,
                    "product_id": product.id,
                    "name": product.display_name,
                    "date": self._today(),
                    "quantity": 1,
                    "unit_price": price,
                }
            )
        )
        item.action_bill_now()
        return item.statement_id

    def _check_purchase(self, price):
        """Refuse a package for a price where too much is ordered and not paid yet.

        :raise UserError: then
        """
        ceiling = self.reseller_id.portal_max_purchase
        open_offers = self.env["account.move"].search(
            Domain("reseller_client_id", "=", self.id)
            & self.env["account.move"]._get_offers_domain()
        )
        if ceiling and sum(open_offers.mapped("amount_residual")) + price > ceiling:
            raise UserError(
                self.env._(
                    "At most %s may be ordered and not paid yet: pay what is open first.",
                    self.currency_id.format(ceiling),
                )
            )

    def _check_refill_ceilings(self, vals):
        """Return {field: what is wrong} of how this client wants its wallet refilled.

        :param dict vals: ``refill_amount``, ``refill_max_charge`` and ``refill_max_month``
        """
        self.ensure_one()
        ceilings = {
            "refill_amount": self.reseller_id.portal_max_refill,
            "refill_max_charge": self.reseller_id.portal_max_refill,
            "refill_max_month": self.reseller_id.portal_max_month,
        }
        return {
            name: self.env._("At most %s, please.", self.currency_id.format(ceiling))
            for name, ceiling in ceilings.items()
            if ceiling and vals[name] > ceiling
        }

    def _get_usable_tokens(self, user):
        """Return the saved payment methods of this client's own contact and of its user's.

        Contacts beneath it may be other clients, with methods of their own.
        """
        self.ensure_one()
        tokens = self.env["payment.token"]
        if not self._pays_itself():
            return tokens
        return tokens.search(
            [
                ("partner_id", "in", (self.partner_id | user.partner_id).ids),
                ("provider_id.company_id", "=", self.company_id.id),
                ("provider_id.state", "!=", "disabled"),
            ]
        )
