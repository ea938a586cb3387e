from decimal import Decimal

from odoo.http import request

from ...models.base.states import LIVE
from .portal_reseller import CLIENTS, ResellerPortal, page


class BillingPortal(ResellerPortal):
    """A client's bills, for its reseller."""

    @page(f"{CLIENTS}/<int:client_id>/billing")
    def reseller_client_billing(self, client_id):
        client_sudo = self._find_client(client_id)
        reseller_sudo = client_sudo.reseller_id
        errors = {}
        sees_money = reseller_sudo._sees_money_of_bills()
        return self._render_reseller(
            "portal_reseller_billing",
            reseller_sudo,
            "clients",
            heading=client_sudo.name,
            client=client_sudo,
            preview=self._preview(client_sudo, sees_money, errors),
            sees_money=sees_money,
            sees_prices=reseller_sudo.portal_see_prices,
            usage=client_sudo._get_usage_rows(),
            statements=client_sudo.statement_ids.filtered(
                lambda statement: statement.state in LIVE
            ),
            history=client_sudo._get_history(client_sudo.statement_ids) if sees_money else [],
            owed=client_sudo._load_owed()[client_sudo.id],
            packages=client_sudo._get_packages_on_paper() if sees_money else None,
            ticks=reseller_sudo.settlement == "resale",
            done=request.session.pop("reseller_done", None),
            wrong=request.session.pop("reseller_wrong", None),
            errors=errors,
            number=lambda text: client_sudo.env["res.lang"]._format_exact(Decimal(text)),
            url=f"{CLIENTS}/{client_id}",
        )

    def _preview(self, client, sees_money, errors):
        """Return what a client's next bill would be, were it made now; empty where it is not shown."""
        preview = client.env["reseller.statement"]
        if client.state == "active" and sees_money:
            with self._refusals(errors):
                preview = client.preview_statement(client.next_bill_date)
        return preview

    def _find_statement(self, client, statement_id):
        return self._find_own(
            client.env["reseller.statement"],
            [("id", "=", statement_id), ("client_id", "=", client.id)],
        )

    @page(f"{CLIENTS}/<int:client_id>/why/<int:charge_id>")
    def reseller_client_why(self, client_id, charge_id):
        """Explain a charge: from which price, of which use, in which steps."""
        client_sudo = self._find_client(client_id)
        self._check_right(client_sudo.reseller_id, "portal_see_prices")
        self._check_sees_money(client_sudo.reseller_id)
        charge = self._find_charge(client_sudo, charge_id)
        if not charge:
            return request.redirect(f"{CLIENTS}/{client_id}/billing")
        return self._render_reseller(
            "portal_reseller_why",
            client_sudo.reseller_id,
            "clients",
            heading=client_sudo.name,
            client=client_sudo,
            charge=charge,
            steps=charge._get_explanation(with_scopes=True),
            back=f"{CLIENTS}/{client_id}/billing",
        )

    def _find_charge(self, client, charge_id):
        """Return a charge of a client; nothing where there is none, as of a preview made anew."""
        return client.env["reseller.charge"].search(
            [("id", "=", charge_id), ("client_id", "=", client.id)], limit=1
        )

    def _check_sees_money(self, reseller):
        if not reseller._sees_money_of_bills():
            self._check_right(reseller, "portal_see_cost")

    @page(f"{CLIENTS}/<int:client_id>/statements/<int:statement_id>.<any(pdf, xlsx):kind>")
    def reseller_client_statement(self, client_id, statement_id, kind):
        client_sudo = self._find_client(client_id)
        self._check_sees_money(client_sudo.reseller_id)
        self._check_right(client_sudo.reseller_id, "portal_see_prices")
        return self._send_statement(self._find_statement(client_sudo, statement_id), kind)

    def _send_statement(self, statement, kind, name=None):
        """Send statements, which the caller has checked, as a file."""
        if any(one.state not in LIVE for one in statement):
            raise request.not_found()
        self._take_export()
        if kind == "pdf":
            report = statement.env.ref("reseller_billing.action_report_statement")
            body, _type = report._render_qweb_pdf(report.report_name, statement.ids)
        else:
            # Not through the report: that asks for the user's rights, and the page has asked.
            book = statement.env["report.reseller_billing.statement_xlsx"].with_context(
                active_model=statement._name
            )
            body, _type = book.create_xlsx_report(statement.ids, {})
        return self._send_file(body, name or statement.name, kind)
