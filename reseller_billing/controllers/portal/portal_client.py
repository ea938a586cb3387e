from decimal import Decimal

from odoo.http import request

from ...models.portal.ir_http import LOGIN_AS
from .portal_billing import BillingPortal
from .portal_report import ReportPortal
from .portal_reseller import page

SERVICE = "/my/service"
REFILL = ("refill_amount", "refill_threshold", "refill_max_charge", "refill_max_month")


class ClientPortal(ReportPortal, BillingPortal):
    """`/my/service`: what a client uses, pays, has ahead and buys."""

    def _prepare_home_portal_values(self, counters):
        values = super()._prepare_home_portal_values(counters)
        if "reseller_service_count" in counters:
            values["reseller_service_count"] = len(self._get_roles()[1])
        return values

    def _find_account(self, client_id):
        """Return one of the user's own accounts, as the system.

        :raise NotFound: when it is another's, and when there is none
        """
        _resellers, clients_sudo = self._get_roles()
        found = clients_sudo.filtered(lambda client: client.id == client_id)
        if not found:
            raise request.not_found()
        return found

    def _render_service(self, template, client, tab, **values):
        return self._render_portal(
            template,
            "reseller_service",
            **{
                "client": client,
                "brand": client.reseller_id,
                "tab": tab,
                "url": f"{SERVICE}/{client.id}",
                "acting": bool(request.session.get(LOGIN_AS)),
                "sees_money": client._shows_money(),
                "sees_prices": True,
                "number": lambda text: client.env["res.lang"]._format_exact(Decimal(text)),
                "done": request.session.pop("reseller_done", None),
                **values,
            },
        )

    @page(SERVICE, reseller_login=True)
    def client_accounts(self):
        _resellers, clients_sudo = self._get_roles()
        if not clients_sudo:
            raise request.not_found()
        if len(clients_sudo) == 1:
            return request.redirect(f"{SERVICE}/{clients_sudo.id}")
        return self._render_portal(
            "portal_service_accounts", "reseller_service", clients=clients_sudo, brand=None
        )

    @page(f"{SERVICE}/<int:client_id>", reseller_login=True)
    def client_account(self, client_id, paid=None):
        """What is used and what it comes to now; what is to be paid."""
        client_sudo = self._find_account(client_id)
        errors, to_pay = {}, self._get_payable(client_sudo)
        wrong = None
        if paid and self._has_paid(client_sudo):
            request.session["reseller_done"] = request.env._(
                "Thank you. What you paid shows here as soon as it has arrived."
            )
        elif paid:
            wrong = request.env._("Nothing was paid: the payment was cancelled or declined.")
        return self._render_service(
            "portal_service_home",
            client_sudo,
            "home",
            usage=client_sudo._get_usage_rows(),
            preview=self._preview(client_sudo, client_sudo._shows_money(), errors),
            to_pay=to_pay,
            pays_all=to_pay._filter_paid_together()._get_sum_to_pay(),
            logins=client_sudo.login_ids[:10],
            errors=errors,
            wrong=wrong,
        )

    def _has_paid(self, client):
        """Whether the user's last payment of the client's invoices went through, or is on its way."""
        transactions_sudo = request.env[
            "payment.transaction"
        ].sudo()  # users read none, own neither
        last_sudo = transactions_sudo.search(
            [
                ("partner_id", "=", request.env.user.partner_id.id),
                ("invoice_ids", "in", client.statement_ids.invoice_id.ids),
            ],
            order="id desc",
            limit=1,
        )
        return last_sudo.state in ("pending", "authorized", "done")

    def _get_payable(self, client):
        """Return the client's open invoices and offers that the user's company pays; none where the reseller
        does, even if the contact lies beneath the reseller's.
        """
        if not client._shows_money():
            return request.env["account.move"]
        payer = request.env.user.partner_id.commercial_partner_id
        return client.statement_ids.invoice_id.filtered(
            lambda move: (
                (move.state == "posted" or move._is_pro_forma())
                and move.move_type == "out_invoice"
                and move.amount_residual > 0
                and move.commercial_partner_id == payer
            )
        )

    @page(
        f"{SERVICE}/<int:client_id>/report",
        f"{SERVICE}/<int:client_id>/report/page/<int:number>",
        reseller_login=True,
    )
    def client_report(self, client_id, number=1, feature=None, **post):
        client_sudo = self._find_account(client_id)
        return self._render_service(
            "portal_service_report",
            client_sudo,
            "report",
            **self._prepare_report(
                client_sudo, f"{SERVICE}/{client_id}/report", number, feature, post
            ),
        )

    @page(f"{SERVICE}/<int:client_id>/report.<any(csv, xlsx):kind>", reseller_login=True)
    def client_report_file(self, client_id, kind, detail="days", **post):
        """Send the client's use as a file: by day, or each event."""
        return self._send_report(self._find_account(client_id), kind, detail, post)

    @page(f"{SERVICE}/<int:client_id>/statements", reseller_login=True)
    def client_statements(self, client_id):
        client_sudo = self._find_account(client_id)
        statements = client_sudo._get_own_statements()
        return self._render_service(
            "portal_service_statements",
            client_sudo,
            "statements",
            statements=statements,
            history=client_sudo._get_history(statements),
        )

    @page(
        f"{SERVICE}/<int:client_id>/statements/<int:statement_id>.<any(pdf, xlsx):kind>",
        reseller_login=True,
    )
    def client_statement(self, client_id, statement_id, kind):
        client_sudo = self._find_account(client_id)
        reseller_sudo = client_sudo.reseller_id
        whole = reseller_sudo.statement_show_quantity and reseller_sudo.statement_show_price
        statement = client_sudo._get_own_statements().filtered(lambda one: one.id == statement_id)
        if not statement or (kind == "xlsx" and not whole):
            raise request.not_found()
        return self._send_statement(statement, kind)

    @page(f"{SERVICE}/<int:client_id>/why/<int:charge_id>", reseller_login=True)
    def client_why(self, client_id, charge_id):
        """Explain a charge, without the prices of others."""
        client_sudo = self._find_account(client_id)
        if not client_sudo._shows_money():
            raise request.not_found()
        charge = self._find_charge(client_sudo, charge_id)
        shown = client_sudo._get_own_statements()
        if charge.statement_id.state != "preview" and charge.statement_id not in shown:
            return request.redirect(f"{SERVICE}/{client_id}")
        return self._render_service(
            "portal_service_why",
            client_sudo,
            "home",
            charge=charge,
            steps=charge._get_explanation(),
            back=f"{SERVICE}/{client_id}",
        )

    # Ahead: packages, wallet, refills, saved methods

    @page(f"{SERVICE}/<int:client_id>/prepaid", reseller_login=True)
    def client_prepaid(self, client_id):
        client_sudo = self._find_account(client_id)
        if not client_sudo._shows_money():
            raise request.not_found()
        return self._render_prepaid(client_sudo, {}, {})

    def _render_prepaid(self, client, values, errors):
        return self._render_service(
            "portal_service_prepaid",
            client,
            "prepaid",
            packages=client._get_offered_packages(),
            lots=client._get_shown_lots(),
            wallet=client.live_balance,
            methods=[
                (False, request.env._("none")),
                *(
                    (token.id, token.display_name)
                    for token in client._get_usable_tokens(request.env.user)
                ),
            ],
            timings=[
                ("never", request.env._("I pay by hand")),
                ("posting", request.env._("Charge at once")),
                ("due", request.env._("Charge on the due date")),
            ],
            ways=[
                ("off", request.env._("Not")),
                ("card", request.env._("Charge the saved payment method")),
                ("invoice", request.env._("Send an invoice")),
            ],
            states={
                name: dict(client._fields[name]._description_selection(request.env))[client[name]]
                for name in ("collection_state", "refill_state")
            },
            values={
                "refill_by": client.refill_by,
                **{
                    name: f"{client[name]:.{client.currency_id.decimal_places}f}" for name in REFILL
                },
                "payment_token_id": client.payment_token_id.id,
                "collection_timing": client.collection_timing,
                **values,
            },
            errors=errors,
        )

    @page(f"{SERVICE}/<int:client_id>/buy", methods=["POST"])
    def client_buy(self, client_id, **post):
        """Make the invoice of a package, and lead to its payment.

        Who buys reads no words that are for those who can mend what is wrong.
        """
        self._check_pace("purchases", 10)
        client_sudo = self._find_account(client_id)
        product = client_sudo._get_offered_packages().filtered(
            lambda one: one.id == self._read_id(post, "product")
        )
        if not product:
            raise request.not_found()
        errors = {}
        invoice = None
        with self._refusals(errors):
            invoice = client_sudo._buy_package(product)
        if invoice is None and not errors:
            errors["form"] = request.env._(
                "%(product)s cannot be bought at the moment. %(seller)s has been told.",
                product=product.display_name,
                seller=client_sudo.reseller_id.sudo().display_name,  # whose portal it is
            )
        if errors:
            return self._render_prepaid(client_sudo, {}, errors)
        return request.redirect(
            invoice.get_portal_url(query_string="&payment=True", anchor="portal_pay")
            if invoice
            else f"{SERVICE}/{client_id}/prepaid"
        )

    @page(f"{SERVICE}/<int:client_id>/refill", methods=["POST"])
    def client_refill(self, client_id, **post):
        """Set by what and how much the wallet is refilled by itself."""
        client_sudo = self._find_account(client_id)
        if not client_sudo._pays_itself():
            raise request.not_found()
        errors = {}
        vals = {name: self._read_number(post, name, errors) for name in REFILL}
        vals["refill_by"] = post.get("refill_by")
        if vals["refill_by"] not in ("off", "card", "invoice"):
            errors["refill_by"] = request.env._("Choose how.")
        if vals["refill_by"] == "card" and not client_sudo.payment_token_id:
            errors["refill_by"] = request.env._("Choose a saved payment method first.")
        if vals["refill_by"] != "off":
            if not vals["refill_max_month"]:
                errors["refill_max_month"] = request.env._("At most how much a month?")
            if vals["refill_threshold"] > 10 * vals["refill_amount"]:
                errors["refill_threshold"] = request.env._(
                    "At most ten times what it is filled by."
                )
            errors.update(client_sudo._check_refill_ceilings(vals))
        if client_sudo.refill_on == "day":
            del vals["refill_threshold"]
        if not errors:
            with self._refusals(errors):
                client_sudo.write(vals)
        if errors:
            return self._render_prepaid(client_sudo, post, errors)
        request.session["reseller_done"] = request.env._("Saved.")
        return request.redirect(f"{SERVICE}/{client_id}/prepaid")

    @page(f"{SERVICE}/<int:client_id>/method", methods=["POST"])
    def client_method(self, client_id, **post):
        """Choose the saved payment method that invoices are charged to, and when."""
        client_sudo = self._find_account(client_id)
        if not client_sudo._pays_itself():
            raise request.not_found()
        errors = {}
        token_id = self._read_id(post, "payment_token_id")
        tokens_sudo = client_sudo._get_usable_tokens(request.env.user)
        token_sudo = tokens_sudo.filtered(lambda token: token.id == token_id)
        if token_id and not token_sudo:
            raise request.not_found()
        timing = post.get("collection_timing")
        if timing not in ("never", "posting", "due"):
            errors["collection_timing"] = request.env._("Choose when.")
        if timing != "never" and not token_sudo:
            errors["payment_token_id"] = request.env._("Choose the payment method to charge.")
        if not errors:
            with self._refusals(errors):
                client_sudo.write({"payment_token_id": token_sudo.id, "collection_timing": timing})
        if errors:
            return self._render_prepaid(client_sudo, post, errors)
        request.session["reseller_done"] = request.env._("Saved.")
        return request.redirect(f"{SERVICE}/{client_id}/prepaid")
