import os
from contextlib import closing
from decimal import Decimal

from freezegun import freeze_time
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from odoo import fields
from odoo.addons.account.tests.common import AccountTestInvoicingCommon
from odoo.tests import tagged


@tagged("post_install", "-at_install")
class ResellerBillingCommon(AccountTestInvoicingCommon):
    """A reseller with one client since 1 January 2024, billed monthly, in the company's currency."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Of every company: what they share is this user's to change as well.
        companies_sudo = cls.env["res.company"].sudo()  # also those that it does not see yet
        cls.env.user.company_ids |= companies_sudo.search([])
        cls.env = cls.env(context=dict(cls.env.context, tracking_disable=True, mail_notrack=True))
        cls.company = cls.env.company
        cls.env.user.group_ids |= cls.env.ref("reseller_billing.group_billing_manager")
        cls.env.user.group_ids |= cls.env.ref("reseller_billing.group_usage_ingestion")
        cls.company.reseller_late_days = 100000
        # Which taxes bills take, tests say themselves.
        companies_sudo.search([]).account_sale_tax_id = False
        cls.product = cls.env["product.product"].create(
            {"name": "Use", "type": "service", "taxes_id": False}
        )
        cls.company.reseller_usage_product_id = cls.product
        cls.reseller = cls._create_reseller("R1")
        cls.group = cls.env["reseller.client.group"].create(
            {"name": "Gold", "reseller_id": cls.reseller.id}
        )
        cls.feature = cls._create_feature("unit")
        cls.client_a = cls._create_client("A")

    @classmethod
    def _create_company(cls, **create_values):
        """Override of `account`: to load a chart takes seconds; ./dev test has companies ready."""
        if create_values.keys() == {"name"}:
            name = create_values["name"]
            ready = cls.env["res.company"].search([("name", "=", f"{name} (ready)")])
            if ready:
                ready.name = name
                cls.env.user.company_ids = [fields.Command.link(ready.id)]
                return ready
        return super()._create_company(**create_values)

    @classmethod
    def _create_taxes(cls, *rates):
        """Return sales taxes of some rates, named by them."""
        return cls.env["account.tax"].create(
            [{"name": f"{rate} %", "amount": rate} for rate in rates]
        )

    @classmethod
    def _create_reseller(cls, code, **values):
        partner = cls.env["res.partner"].create({"name": f"Reseller {code}"})
        return cls.env["reseller.reseller"].create(
            {"partner_id": partner.id, "code": code, "company_id": cls.company.id, **values}
        )

    @classmethod
    def _create_billing_user(cls, login):
        return cls.env["res.users"].create(
            {
                "name": "User",
                "login": login,
                "group_ids": [cls.env.ref("reseller_billing.group_billing_user").id],
            }
        )

    @classmethod
    def _create_client(cls, ref, start="2024-01-01", group=None, activate=True, **values):
        partner = values.pop("partner", None) or cls.env["res.partner"].create(
            {"name": f"Client {ref}"}
        )
        client = cls.env["reseller.client"].create(
            {
                "partner_id": partner.id,
                "reseller_id": cls.reseller.id,
                "ref": ref,
                "membership_ids": [
                    fields.Command.create({"date_from": start, "group_id": group and group.id})
                ],
                **values,
            }
        )
        if activate:
            client.action_activate()
        return client

    @classmethod
    def _create_feature(cls, code, **values):
        # As those that come with the addon: of no company.
        features_sudo = cls.env["reseller.feature"].sudo()  # no single company's user makes them
        vals = {"name": code.title(), "code": code, "quantity_digits": 0, **values}
        return features_sudo.create(vals).sudo(False)

    @classmethod
    def _create_level(cls, code, name):
        levels_sudo = cls.env["reseller.feature.level"].sudo()  # of a feature that is everybody's
        return levels_sudo.create({"feature_id": cls.feature.id, "code": code, "name": name})

    @classmethod
    def _create_rule(cls, feature=None, tiers=(), levels=(), **values):
        return cls.env["reseller.price.rule"].create(
            {
                "feature_id": (feature or cls.feature).id,
                "tier_ids": [
                    fields.Command.create(
                        {
                            "sequence": number,
                            "up_to": up_to or 0,
                            "is_last": up_to is None,
                            "unit_price": price,
                            "flat_fee": fee,
                        }
                    )
                    for number, (up_to, price, fee) in enumerate(tiers)
                ],
                "level_price_ids": [
                    fields.Command.create({"level_id": level.id, "unit_price": price})
                    for level, price in levels
                ],
                **values,
            }
        )

    @classmethod
    def _event(cls, day, quantity, feature="unit", client="A", **values):
        cls.event_number = getattr(cls, "event_number", 0) + 1
        return {
            "id": f"e{cls.event_number}",
            "source": "test",
            "client": client,
            "feature": feature,
            "time": f"{day}T12:00:00Z",
            "quantity": quantity,
            **values,
        }

    @classmethod
    def _use(cls, day, quantity, feature="unit", client="A", **values):
        outcome = cls.env["reseller.usage.line"].ingest(
            [cls._event(day, quantity, feature, client, **values)]
        )
        assert outcome["accepted"] == 1, outcome
        return outcome

    @classmethod
    def _run(cls, date, clients=()):
        """Bill all that is due by a date, or these accounts alone, as the scheduled action does; return the run."""
        run = cls.env["reseller.billing.run"].create(
            {"date": date, "client_ids": [fields.Command.link(one.id) for one in clients]}
        )
        run.action_start()
        while run._process_batch():
            pass
        return run

    @classmethod
    def _add_extra(cls, client, price, start, **values):
        """Add an extra line to a client's contract, due at the beginning of each period."""
        return cls.env["contract.line"].create(
            {
                "contract_id": client.contract_id.id,
                "product_id": cls.product.id,
                "name": "Support",
                "quantity": 1,
                "price_unit": price,
                "specific_price": price,
                "date_start": start,
                "recurring_next_date": start,
                "recurring_rule_type": "monthly",
                "recurring_interval": 1,
                **values,
            }
        )

    def _play_histories(self, step, sizes, count, *examples):
        """Play random histories by `_play`, each in a savepoint: runs of one would bill the clients of all before.

        :param step: the strategy of a step
        :param sizes: (fewest, most steps)
        :param int count: of histories, unless RB_SEQUENCES says another
        :param examples: histories that are always played
        """

        def check(steps):
            with closing(self.env.cr.savepoint()) as savepoint:
                try:
                    self._play(steps)
                finally:
                    savepoint.rollback()
                    self.env.clear()

        for one in examples:
            check = example(one)(check)
        shortest, longest = sizes
        check = given(st.lists(step, min_size=shortest, max_size=longest))(check)
        settings(
            max_examples=int(os.environ.get("RB_SEQUENCES", count)),
            deadline=None,
            derandomize=bool(os.environ.get("CI")),
            suppress_health_check=list(HealthCheck),
        )(check)()

    def _statement(self, client, date):
        return self.env["reseller.statement"].search(
            [
                ("client_id", "=", client.id),
                ("bill_date", "=", date),
                ("state", "in", ("approved", "invoiced")),
            ]
        )

    def _amounts(self, statement):
        """Return {(feature code, kind): amount as text} summed over the charges."""
        found = {}
        for charge in statement.charge_ids:
            key = (charge.feature_id.code, charge.kind)
            found[key] = found.get(key, Decimal(0)) + charge._get_exact()[charge.id][2]
        return {key: str(amount) for key, amount in found.items()}

    def assertAgrees(self, statement):
        """Statement = invoice = ledger, line by line and in sum (design 4)."""
        exact = statement.charge_ids._get_exact()
        total = sum((values[2] for values in exact.values()), Decimal(0))
        self.assertEqual(Decimal(repr(statement.amount_total)), total)
        for charge in statement.charge_ids:
            self.assertEqual(charge._amount_from_trace(), exact[charge.id][2], charge.name)
        invoice = statement.invoice_id
        if not invoice:
            self.assertFalse(any(values[2] for values in exact.values()))
            return
        sign = -1 if invoice.move_type == "out_refund" else 1
        lines = invoice.invoice_line_ids
        self.assertEqual(
            lines.charge_id, statement.charge_ids.filtered(lambda one: exact[one.id][2])
        )
        # What several lines billed is given back by as many.
        for charge, parts in lines.grouped("charge_id").items():
            shown = 0
            for line in parts:
                included = line.tax_ids[:1].price_include
                amount = line.price_total if included else line.price_subtotal
                shown += amount
                if not included and invoice.currency_id == self.company.currency_id:
                    self.assertAlmostEqual(-line.balance, sign * amount, 6)
            self.assertEqual(
                statement.currency_id.round(sign * shown), float(exact[charge.id][2]), charge.name
            )
        if invoice.state == "posted":
            receivable = invoice.line_ids.filtered(
                lambda line: line.account_id.account_type == "asset_receivable"
            )
            self.assertAlmostEqual(
                sum(receivable.mapped("amount_currency")), sign * invoice.amount_total, 6
            )
            self.assertAlmostEqual(sum(invoice.line_ids.mapped("balance")), 0, 6)

    def _sum_up(self, entries, day):
        """Return {account name: balance} of the entries of a day."""
        found = {}
        for line in entries.filtered(lambda move: str(move.date) == day).line_ids:
            name = line.account_id.name
            found[name] = round(found.get(name, 0) + line.balance, 2)
        return found


class PrepaidCommon(ResellerBillingCommon):
    """With accounts for what is bought ahead, and a package of 100 units for 50.00.

    The client's use costs 1.00 a unit, billed monthly.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()

        def account(code, name, kind):
            return cls.env["account.account"].create(
                {"code": code, "name": name, "account_type": kind}
            )

        cls.deposit = account("299100", "Deposits", "liability_current")
        cls.prepaid = account("299200", "Packages", "liability_current")
        cls.breakage = account("499100", "Breakage", "income_other")
        cls.company.write(
            {
                "reseller_wallet_journal_id": cls.env["account.journal"]
                .create({"name": "Wallets", "code": "WAL", "type": "general"})
                .id,
                "reseller_deposit_account_id": cls.deposit.id,
                "reseller_prepaid_account_id": cls.prepaid.id,
                "reseller_breakage_account_id": cls.breakage.id,
                "reseller_bonus_account_id": account("699100", "Bonuses", "expense").id,
                "reseller_bonus_mode": "expense",
            }
        )
        cls.income = cls.product.product_tmpl_id.get_product_accounts()["income"]
        cls._create_rule(unit_price=1)
        cls.package = cls._create_package("100 units", reseller_units=100, list_price=50)

    @classmethod
    def _create_package(cls, name, **values):
        vals = {
            "name": name,
            "type": "service",
            "taxes_id": False,
            "reseller_grants": "units",
            "reseller_feature_id": cls.feature.id,
            **values,
        }
        return cls.env["product.product"].create(vals)

    @classmethod
    def _create_top_up(cls, **values):
        """Return a product that puts 100.00 into a wallet."""
        vals = {"reseller_grants": "money", "reseller_feature_id": False, "list_price": 100}
        return cls._create_package("Top-up", **{**vals, **values})

    def _sell(self, day, package=None, quantity=1, pay=True, price=None, client=None, owed=False):
        """Sell a package on a day, and pay it, or have it owed; return its lot."""
        package = package or self.package
        with freeze_time(f"{day} 12:00:00"):
            item = self.env["reseller.manual.charge"].create(
                {
                    "client_id": (client or self.client_a).id,
                    "product_id": package.id,
                    "name": package.name,
                    "date": day,
                    "quantity": quantity,
                    "unit_price": package.list_price if price is None else price,
                }
            )
            item.action_bill_now()
            if owed:
                item.statement_id.invoice_id.action_invoice_offer()
            elif pay:
                self._pay(item.statement_id.invoice_id)
        name = "wallet" if package.reseller_grants == "money" else "prepaid"
        lots = self.env[f"reseller.{name}.lot"].search(
            [("charge_id.manual_charge_id", "=", item.id)]
        )
        self.assertEqual(len(lots), 1)
        return lots

    def _receive(self, amount, **values):
        """Return a payment of the client's, posted."""
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.client_a.partner_id.id,
                "amount": amount,
                "journal_id": self.company_data["default_journal_bank"].id,
                **values,
            }
        )
        payment.action_post()
        return payment

    def _create_owed_tax(self, rate, account, **values):
        """Return a sales tax that is owed on an account of its own."""
        shares = [
            fields.Command.create({"repartition_type": "base"}),
            fields.Command.create({"repartition_type": "tax", "account_id": account.id}),
        ]
        return self.env["account.tax"].create(
            {
                "name": f"{rate} % {values}",
                "amount": rate,
                "invoice_repartition_line_ids": shares,
                "refund_repartition_line_ids": shares,
                **values,
            }
        )

    def _pay(self, invoice):
        """Pay an invoice, or an offer by a payment that is found under its reference."""
        invoice.ensure_one()
        if invoice._is_pro_forma():
            payment = self._receive(
                invoice.amount_total,
                partner_id=invoice.commercial_partner_id.id,
                currency_id=invoice.currency_id.id,
                memo=invoice.payment_reference,
            )
            invoice.action_offer_paid()
            dialog = self.env["reseller.offer.payment"].create({"invoice_id": invoice.id})
            self.assertEqual(dialog.line_id.move_id, payment.move_id)
            dialog.action_take()
            return
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        ).create({"journal_id": self.company_data["default_journal_bank"].id})._create_payments()

    def _balance(self, account):
        """Return what an account holds: debits above zero."""
        lines = self.env["account.move.line"].search(
            [("account_id", "=", account.id), ("parent_state", "=", "posted")]
        )
        return self.company.currency_id.round(sum(lines.mapped("balance")))

    def _bill_use(self, day, quantity, date, **values):
        self._use(day, quantity, **values)
        self._run(date)
        return self._statement(self.client_a, date)

    def assertLot(self, lot, left, cost_left):
        lot.invalidate_recordset()
        self.assertEqual((lot.left, lot.cost_left), (left, cost_left))

    def assertBooks(self):
        """The law: what is owed for packages and wallets is what is left of the lots' cost."""
        self.assertFalse(self.env["reseller.wallet.check"].search([("is_different", "=", True)]))
