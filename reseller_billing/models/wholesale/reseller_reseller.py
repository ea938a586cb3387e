from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ..base.states import LIVE


class ResellerReseller(models.Model):
    """How a reseller and the provider settle: whether it buys what its clients use (wholesale W12)."""

    _inherit = "reseller.reseller"

    settlement = fields.Selection(
        [
            ("none", "None: as invoices say"),
            ("resale", "Resale: it buys what its clients use, and bills them itself"),
        ],
        required=True,
        default="none",
        tracking=True,
        help="Under resale the reseller pays wholesale prices for all that its clients use together, and what "
        "its clients pay stands on papers between it and them. Under a referral you invoice the clients, and "
        "the reseller earns a percentage of the net revenue, by feature and level.",
    )
    settlement_date = fields.Date(
        string="Settled From",
        tracking=True,
        help="The first day that is settled so. No client may be billed for it yet.",
    )
    former_invoice_to = fields.Selection(
        selection=lambda self: self._fields["invoice_to"].selection,
        string="Invoices Went To",
        readonly=True,
        copy=False,
        help="Before this reseller bought: late use and corrections of those days are invoiced so.",
    )
    paper_release = fields.Selection(
        [("paid", "Once it has ticked the paper as paid"), ("at_once", "At once")],
        string="Packages on Papers",
        required=True,
        default="paid",
        tracking=True,
        help="When its clients may use units of packages that it sells them on papers.",
    )
    buyer_id = fields.Many2one(
        "reseller.client",
        string="Buyer's Account",
        compute="_compute_buyer_id",
        help="The account by which it pays for what its clients use.",
    )

    buyer_open = fields.Boolean(compute="_compute_buyer_id")

    @api.depends("buyer_ids.state")
    def _compute_buyer_id(self):
        for reseller in self:
            accounts_sudo = reseller.sudo().buyer_ids  # of a seller whom nobody need see
            accounts_sudo = accounts_sudo.sorted(
                lambda one: (one.state == "closed", -one._origin.id)
            )
            reseller.buyer_id = accounts_sudo[:1].sudo(False)  # read with the rights of who looks
            reseller.buyer_open = accounts_sudo[:1].state in ("draft", "active")

    # What is on paper

    def _is_paper_on(self, day):
        """Override of billing: under resale, from its first day on; before as invoices went then."""
        if self.settlement != "resale":
            return super()._is_paper_on(day)
        return day >= self.settlement_date or self._get_invoice_to() == "none"

    def _get_last_invoiced_day(self, until):
        """Override of billing: it may lie before the day from which the reseller buys."""
        if self.settlement == "resale" and self._get_invoice_to() != "none":
            return min(until, fields.Date.subtract(self.settlement_date, days=1))
        return super()._get_last_invoiced_day(until)

    def _get_invoice_to(self):
        """Override of billing: what is not on paper is of days before the reseller bought."""
        if self.settlement == "resale" and self.former_invoice_to:
            return self.former_invoice_to
        return super()._get_invoice_to()

    def _invoice_to_sql(self):
        """Override of lockout: who was invoiced before it bought owes that still."""
        return SQL(
            "CASE WHEN reseller.settlement = 'resale' "
            "THEN COALESCE(reseller.former_invoice_to, reseller.invoice_to) "
            "ELSE reseller.invoice_to END"
        )

    # What settles how

    @api.constrains("settlement", "settlement_date", "invoice_to")
    def _check_settlement(self):
        for reseller in self.filtered(lambda reseller: reseller.settlement != "none"):
            if not reseller.settlement_date:
                raise ValidationError(
                    self.env._(
                        "Say from which day on %s is settled so, under Settled From.", reseller.name
                    )
                )
            reseller._check_invoice_to()
            reseller._check_buys()

    @api.constrains("is_house", "invoice_to", "settlement", "active")
    def _check_house(self):
        for house in self.filtered("is_house"):
            if (house.invoice_to, house.settlement, house.active) != ("client", "none", True):
                raise ValidationError(
                    self.env._(
                        "%s is the provider itself: it stays, and invoices go to each of its accounts.",
                        house.name,
                    )
                )

    def _check_invoice_to(self):
        """Refuse a way of settling that does not go with whom invoices go to; a hook for further ways."""
        if self.settlement == "resale" and self.invoice_to != "none":
            raise ValidationError(
                self.env._(
                    "%s buys what its clients use and bills them itself: invoices go to nobody else.",
                    self.name,
                )
            )

    def _check_buys(self):
        """Refuse resale without a buyer's account, where somebody is served: nobody would pay."""
        clients_sudo = self.env["reseller.client"].sudo()  # of all its clients, seen or not
        if (
            self.settlement == "resale"
            and not self.sudo().buyer_ids  # as above
            and clients_sudo.search_count(
                [("reseller_id", "=", self.id), ("state", "!=", "draft")], limit=1
            )
        ):
            raise ValidationError(
                self.env._(
                    "%s has clients, and no account to pay by for what they use: press Have It Buy.",
                    self.name,
                )
            )

    def _check_settled_from(self):
        """Refuse days that a client is billed for already."""
        bills_sudo = self.env["reseller.statement"].sudo()  # of all its clients, seen or not
        domain = Domain("reseller_id", "=", self.id) & Domain("state", "in", LIVE)
        last = bills_sudo.search(domain, order="bill_date desc", limit=1).bill_date
        # Several cycles' fees may have been taken ahead.
        charges_sudo = bills_sudo.env["reseller.charge"]
        ahead = charges_sudo.search(
            Domain("reseller_id", "=", self.id)
            & Domain("statement_id.state", "in", LIVE)
            & Domain("cycle_start", ">=", self.settlement_date),
            order="cycle_end desc",
            limit=1,
        )
        last = ahead.cycle_end or last
        if last and self.settlement_date <= last:
            raise ValidationError(
                self.env._(
                    "Clients of %(reseller)s are billed until %(last)s: choose a later day.",
                    reseller=self.name,
                    last=last,
                )
            )

    def _check_nothing_ahead(self):
        """Refuse to settle otherwise while a client has paid ahead: what it has left was sold as it was."""
        clients_sudo = self.env["reseller.client"].sudo()  # of all its clients, seen or not
        buyers_sudo = clients_sudo.search(
            Domain("reseller_id", "=", self.id)
            & (Domain("wallet_lot_ids", "!=", False) | Domain("prepaid_lot_ids", "!=", False))
        )
        holding = buyers_sudo.filtered(
            lambda client: any(
                lots.filtered(lambda lot: lot.cost_left > 0 or lot.state in ("offered", "waiting"))
                for lots in (client.wallet_lot_ids, client.prepaid_lot_ids)
            )
        )[:1]
        if holding:
            raise ValidationError(
                self.env._(
                    "%s has money or units left that were paid before: let it use them, or refund them first.",
                    holding.display_name,
                )
            )

    def _is_settled(self):
        """Hook: whether something was settled as it is now, so that it stays."""
        self.ensure_one()
        accounts_sudo = self.sudo().buyer_ids  # of whichever seller
        return self.settlement == "resale" and any(one.state != "draft" for one in accounts_sudo)

    def _get_settlement_fields(self):
        """Hook: return the names of the fields that stay once something was settled by them."""
        return {"settlement", "settlement_date"}

    def write(self, vals):
        """Override of `base`: what bills and commissions rest on stays once there are any."""
        owned = self._get_settlement_fields() & vals.keys()
        changing = self.filtered(
            lambda reseller: any(
                reseller._fields[name].convert_to_cache(vals[name], reseller) != reseller[name]
                for name in owned
            )
        )
        for reseller in changing:
            if reseller._is_settled():
                raise ValidationError(
                    self.env._(
                        "%s has been settled so already, and that stays: make another reseller, and move its "
                        "clients.",
                        reseller.name,
                    )
                )
        done = super().write(vals)
        for reseller in changing.filtered(lambda reseller: reseller.settlement != "none"):
            reseller._check_settled_from()
            reseller._check_nothing_ahead()
        return done

    # Buying

    @api.model
    def _get_house(self, company, currency):
        """Return the house of a company in a currency: the provider as seller (wholesale W1); made when first
        needed.
        """
        houses_sudo = self.sudo().with_context(active_test=False)  # whoever sets a buyer up
        found = houses_sudo.search(
            [
                ("is_house", "=", True),
                ("company_id", "=", company.id),
                ("currency_id", "=", currency.id),
            ],
            limit=1,
        )
        return found or houses_sudo.create(
            {
                "is_house": True,
                "partner_id": company.partner_id.id,
                "company_id": company.id,
                "currency_id": currency.id,
                "code": f"HOUSE-{currency.name}",
                "tz": company.partner_id.tz or "UTC",
            }
        )

    def action_set_up_buying(self):
        """Open the dialog that has this reseller buy what its clients use."""
        self.ensure_one()
        self.env["res.users"]._check_billing_manager()
        # Its groups are to be chosen from.
        self._get_house(self.company_id, self.currency_id)
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Have %s Buy", self.name),
            "res_model": "reseller.buyer.make",
            "view_mode": "form",
            "target": "new",
            "context": {"default_reseller_id": self.id},
        }

    def action_view_buyer(self):
        """Open the account by which this reseller buys."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "reseller.client",
            "view_mode": "form",
            "res_id": self.buyer_id.id,
        }

    def _begin_buying(self, date, vals):
        """Have this reseller buy from a day on; return its buyer's account, active.

        Cycles of its clients that run on that day end on the day before, and are settled as they were; what is
        of later days stands on papers (wholesale W12).

        :param date date: the first day
        :param dict vals: of the account: its cycle, reference, and `group_id` of the house
        :raise ValidationError: where a client is billed for that day, or has paid ahead
        """
        self.ensure_one()
        date = fields.Date.to_date(date)
        begins = not self.buyer_ids
        if self.settlement not in ("none", "resale"):
            raise ValidationError(
                self.env._(
                    "%s is settled otherwise, and that stays: make another reseller, and move its clients.",
                    self.name,
                )
            )
        # Of two at once one fails, and is repeated: it sees the other's account.
        self._conflict_with_others()
        self._check_begins_after(date)
        house = self._get_house(self.company_id, self.currency_id)
        group = vals.pop("group_id", False)
        buyer_sudo = self.env["reseller.client"].sudo()  # whom it buys for is not given by hand
        buyer_sudo = buyer_sudo.create(
            {
                "partner_id": self.partner_id.id,
                "reseller_id": house.id,
                "buys_for_id": self.id,
                "tz": self.tz,
                "membership_ids": [fields.Command.create({"date_from": date, "group_id": group})],
                **vals,
            }
        )
        buyer = buyer_sudo.sudo(False)  # activated with the rights of who sets it up
        buyer.action_activate()
        if begins:
            self.write(
                {
                    "former_invoice_to": self.invoice_to,
                    "invoice_to": "none",
                    "settlement": "resale",
                    "settlement_date": date,
                }
            )
            self._cut_cycles(date)
        return buyer

    def _check_begins_after(self, date):
        """Refuse to buy anew on days that another account buys, or that are settled as they were."""
        ended = max(filter(None, self.sudo().buyer_ids.mapped("close_date")), default=None)  # all
        first = max(
            filter(
                None,
                (
                    ended and fields.Date.add(ended, days=1),
                    self.settlement == "resale" and self.buyer_ids and self.settlement_date,
                ),
            ),
            default=date,
        )
        if date < first:
            raise ValidationError(
                self.env._(
                    "%(reseller)s can buy anew from %(first)s on: days before are settled.",
                    reseller=self.name,
                    first=first,
                )
            )

    def _get_free_reference(self):
        """Return a reference for a new buyer's account that no account of the company has."""
        clients_sudo = self.env["reseller.client"].sudo()  # of whomever
        taken = set(
            clients_sudo.with_context(active_test=False)
            .search([("company_id", "=", self.company_id.id), ("ref", "=like", f"{self.code}%")])
            .mapped("ref")
        )
        names = (f"{self.code}-{number}" for number in range(2, len(taken) + 3))
        return next(name for name in (self.code, *names) if name not in taken)

    def _cut_cycles(self, date):
        """Have the cycles of all clients begin anew on a day, where they are served before it."""
        clients_sudo = self.env["reseller.client"].sudo()  # all of them, seen or not
        domain = [("reseller_id", "in", self.ids), ("state", "!=", "draft")]
        clients_sudo.with_context(active_test=False).search(domain, order="id")._cut_cycle(date)
