from decimal import Decimal

from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Command

from .account_move_line import BILLING


class ResellerStatement(models.Model):
    """The invoices of bills: who gets them, what is on them, and the hooks of rooms above."""

    _inherit = "reseller.statement"

    def _invoice(self, draws, date):
        """Post the invoices of these bills.

        :param draws: {client id: [rating.Draw]} of what was used of what is paid ahead
        :param date date: of the invoices
        """
        moves = self._create_invoices(date)
        # Others have no amount, or are their reseller's to invoice.
        billed = self.browse().union(*moves)
        kept = billed._before_posting(moves)
        billed._post_drafts(moves, date, kept)
        for statement, move in moves.items():
            statement.write({"invoice_id": move.id, "state": "invoiced"})
        billed._link_given_back()
        self._after_invoice(draws, date, kept)

    def _before_posting(self, moves):
        """Hook: what lowers the drafts of these bills does so here.

        :param moves: {statement: its draft invoice or credit note}
        :return: what later hooks need, by name
        """
        return {}

    def _post_drafts(self, moves, date, kept):
        """Hook: post the drafts of these bills, or leave them for later.

        :param moves: see _before_posting
        :param date date: of the invoices
        :param kept: what _before_posting returned
        """
        if moves:
            # With the rights and the context that they were made with.
            first, *rest = moves.values()
            drafts = first.union(*rest)
            # As Odoo's own button does: where a plan is mandatory, nothing is posted without it.
            answer = drafts.with_context(validate_analytic=True).action_post()
            self._check_posted(drafts, answer)

    def _check_posted(self, drafts, answer):
        """Refuse invoices that posting has left drafts: other addons may ask a person first, and nobody is
        there to be asked.

        :param answer: what posting returned: the action that asks
        """
        left = drafts.filtered(lambda move: move.state != "posted")
        if left:
            what = answer.get("name") if isinstance(answer, dict) else None
            raise UserError(
                self.env._(
                    "The invoice of %(client)s cannot be posted without a person: another addon asks "
                    "first (%(what)s). Settle that, then bill again.",
                    client=left[0].partner_id.display_name,
                    what=what or self.env._("it does not say what"),
                )
            )

    def _after_invoice(self, draws, date, kept):
        """Hook: the invoices of these bills stand, where they have one.

        :param draws: see _invoice
        :param date date: of the invoices
        :param kept: what _before_posting returned
        """

    def _get_partner(self):
        """Return who pays this bill: the invoice address of the client or of the reseller."""
        self.ensure_one()
        return self._get_invoice_partner(self.client_id)

    @api.model
    def _get_invoice_partner(self, client):
        """Return who pays an account's bills, see _get_partner."""
        if client.reseller_id._get_invoice_to() == "reseller":
            partner = client.reseller_id.partner_id
        else:
            by_hand = client.contract_id.sudo().invoice_partner_id  # the account's own
            if by_hand:
                return by_hand
            partner = client.partner_id
        return partner.browse(partner.address_get(["invoice"])["invoice"])

    def _get_language(self):
        """Return the code of the language that this statement is in."""
        self.ensure_one()
        return self.reseller_id.statement_lang or self._get_partner().lang

    def _get_partners(self):
        """Return who pays these bills, see _get_partner."""
        return self.env["res.partner"].union(*(statement._get_partner() for statement in self))

    def _create_invoices(self, date):
        """Make the invoices or credit notes of these statements, as drafts.

        A statement without an amount, or of charges that are all on paper, has none.

        :return: {statement: its draft}
        """
        exact = self._get_invoiced_charges()._get_exact()
        billed = self.filtered(
            lambda statement: any(
                exact[charge.id][2] for charge in statement._get_invoiced_charges()
            )
        )
        if not billed:
            return {}
        originals = (
            billed._get_adjusted_lines(),
            billed._find_given_back(exact),
            self._get_fiscal_positions(billed.client_id, billed.company_id),
        )
        digits = self.env["decimal.precision"].precision_get("Product Unit")
        billed._check_invoiceable()
        billed._check_taxes(originals[1])
        model = (
            self.env["account.move"]
            .sudo(False)  # posted with the rights of who bills
            .with_company(billed.company_id)
            .with_context(
                tracking_disable=True, mail_create_nolog=True, mail_create_nosubscribe=True
            )
        )
        distributions = model.env["account.analytic.distribution.model"]
        model = model.with_context(**distributions._spare_searches())
        moves = dict(
            zip(
                billed,
                model.create(
                    [
                        statement._prepare_invoice_vals(date, exact, digits, originals)
                        for statement in billed
                    ]
                ),
                strict=True,
            )
        )
        for statement, move in moves.items():
            if move.amount_total < 0:
                # With taxes it is on the other side of zero: Odoo posts no such invoice.
                move.with_context(reseller_billing=BILLING).unlink()
                moves[statement] = model.create(
                    statement._prepare_invoice_vals(date, exact, digits, originals, turned=True)
                )
        made = model.union(*moves.values())
        billed._check_unlocked(made, date)
        return moves

    def _check_unlocked(self, moves, date):
        """Refuse a day of a locked period: Odoo would move the documents to a later one.

        A period that is locked for taxes is open to documents without.
        """
        kinds = moves.grouped(lambda move: (move._affect_tax_report(), move.journal_id))
        for has_tax, journal in kinds:
            locks = moves.company_id._get_violated_lock_dates(date, has_tax, journal)
            if locks:
                raise UserError(
                    self.env._(
                        "The invoice date %(date)s is in a locked period, until %(lock)s: "
                        "run with a later date, or unlock the period.",
                        date=date,
                        lock=locks[-1][0],
                    )
                )

    def _check_invoiceable(self):
        """Raise a UserError that says what keeps invoices of these statements from being made."""
        company = self.company_id
        for partner in self._get_partners().with_company(company):
            if not partner.property_account_receivable_id:
                raise UserError(
                    self.env._(
                        "%s has no receivable account: set one on the contact.",
                        partner.display_name,
                    )
                )
        charges = self._get_invoiced_charges()
        for item in charges.manual_charge_id:
            product = item._get_product()
            if not product or not product.active:
                raise UserError(
                    self.env._(
                        "%s has no product in use: choose one on it, or a generic usage product in "
                        "the settings.",
                        item.name,
                    )
                )
        for feature in charges.feature_id:
            product = feature._get_product(company)
            if not product:
                raise UserError(
                    self.env._(
                        "The feature %s has no product, and the company no generic usage product: "
                        "choose one in the settings.",
                        feature.name,
                    )
                )
            if not product.active:
                raise UserError(
                    self.env._(
                        "The product %(product)s of the feature %(feature)s is archived: "
                        "restore it or choose another.",
                        product=product.display_name,
                        feature=feature.name,
                    )
                )

    def _check_taxes(self, given_back):
        """Refuse products for which nobody has chosen a tax, see product.template.

        :param given_back: see _find_given_back; it takes no taxes of today
        """
        taxed = self._get_invoiced_charges().filtered(
            lambda one: (
                one.amount
                and one._takes_taxes()
                and not (
                    one.id in given_back and all(original for original, _part in given_back[one.id])
                )
            )
        )
        products = self.env["product.product"].union(*(charge._get_product() for charge in taxed))
        products.product_tmpl_id._check_has_sales_tax(self.company_id)

    def _prepare_invoice_vals(self, date, exact, quantity_digits, originals, turned=False):
        """Return the values of this statement's invoice, or credit note if it is below zero.

        :param exact: {charge id: (quantity, unit price, amount)} as Decimals
        :param originals: the lines whose taxes charges take: those of _get_adjusted_lines and of
            _find_given_back; and the fiscal positions of _get_fiscal_positions
        :param bool turned: whether taxes turn one into the other
        """
        self.ensure_one()
        contract_sudo = self.client_id.contract_id.sudo()  # the account's own
        vals = contract_sudo._prepare_invoice(date)
        partner = self._get_partner().with_company(self.company_id)
        if not (vals.get("invoice_payment_term_id") or partner.property_payment_term_id):
            # Due at once means on the invoice's date, where Odoo would take today.
            vals["invoice_date_due"] = date
        charges = self._get_invoiced_charges().sorted("sequence")
        below = (sum((exact[charge.id][2] for charge in charges), Decimal(0)) < 0) != turned
        commands, (adjusted, given_back, positions) = [], originals
        position = self.env["account.fiscal.position"].browse(
            positions.get(self.client_id.id) or []
        )
        language = {"lang": self._get_language() or self.env.lang}
        for charge in charges.with_context(**language):
            if not exact[charge.id][2]:
                continue
            original = adjusted.get((charge.adjusts_statement_id.id, charge.feature_id.id))
            for part in charge._get_parts(exact[charge.id], given_back.get(charge.id)):
                line = charge._prepare_invoice_line_vals(
                    part, original, -1 if below else 1, quantity_digits, position
                )
                commands.append(Command.create(line))
        return {
            **vals,
            "partner_id": partner.id,
            "currency_id": self.currency_id.id,
            "move_type": "out_refund" if below else "out_invoice",
            "invoice_origin": self.name,
            "delivery_date": self._get_delivery_date(exact),
            "invoice_cash_rounding_id": self.client_id._get_cash_rounding().id,
            "reseller_statement_id": self.id,
            "invoice_line_ids": commands,
        }

    def _get_delivery_date(self, exact):
        """Return the day on which what is on this bill was delivered, for its invoice.

        That is the last day of use, and of fees in arrears; of a bill of fees in advance alone, their
        first day.
        """
        self.ensure_one()
        charges = self._get_invoiced_charges()
        charges = charges.filtered(lambda charge: exact[charge.id][2] and charge.date_to)
        # Days that are given back were not served.
        charges = (
            charges.filtered(lambda charge: charge.kind != "recurring" or charge.amount > 0)
            or charges
        )
        served = [charge.date_to for charge in charges if charge.date_to < self.bill_date]
        return max(served) if served else min(charges.mapped("date_from"), default=self.bill_date)

    @api.model
    def _get_fiscal_positions(self, clients, company):
        """Return {client id: fiscal position id} as the invoices of clients of a company have it."""
        model = self.env["account.fiscal.position"].with_company(company)
        found, by_address = {}, {}
        for client_sudo in clients.sudo():  # who asks need not have rights on every account
            position = client_sudo.contract_id.fiscal_position_id
            if not position:
                partner = self._get_invoice_partner(client_sudo)
                by_hand = partner.with_company(company).property_account_position_id
                # What Odoo looks at: partners of one country and kind are looked up once.
                address = (
                    by_hand,
                    partner.country_id,
                    partner.state_id,
                    partner.zip,
                    bool(partner.vat) and partner.vat[:2],
                )
                if address not in by_address:
                    by_address[address] = model._get_fiscal_position(partner)
                position = by_address[address]
            found[client_sudo.id] = position.id
        return found

    def _get_adjusted_lines(self):
        """Return {(statement id, feature id): invoice line} that adjustments take taxes from."""
        return self._get_invoiced_charges().adjusts_statement_id._get_invoice_lines()

    def _get_invoice_lines(self):
        """Return {(statement id, feature id): invoice line} of these bills' use and fees."""
        if not self:
            return {}
        lines = self.env["account.move.line"].search(
            [
                ("charge_id.statement_id", "in", self.ids),
                ("charge_id.feature_id", "!=", False),
                ("reverses_charge_id", "=", False),
            ],
            order="id desc",
        )
        return {
            (line.charge_id.statement_id.id, line.charge_id.feature_id.id): line for line in lines
        }
