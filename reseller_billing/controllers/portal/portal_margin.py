import json

from odoo.http import request
from odoo.tools.misc import format_date

from ... import rating
from .portal_reseller import HOME, ResellerPortal, page

# Of a month, those with the lowest margins.
CLIENTS_SHOWN = 100


class MarginPortal(ResellerPortal):
    """What a reseller that buys is left with."""

    @page(f"{HOME}/margin")
    def reseller_margin(self, **filters):
        """Show a reseller's months, and of one of them its clients and features.

        :param str reseller: the id of one of the user's, the first that buys without it
        :param str month: the first day of one, the newest that is billed without it
        """
        buyers_sudo = self._get_buyers(self._get_resellers())
        chosen = self._read_id(filters, "reseller")
        buyer_sudo = buyers_sudo.filtered(
            lambda buyer: not chosen or buyer.buys_for_id.id == chosen
        )[:1]
        if not buyer_sudo:
            raise request.not_found()
        reseller_sudo = buyer_sudo.buys_for_id
        months = reseller_sudo._get_margin_months()
        asked = self._read_text(filters, "month", 10)
        # The one that was asked for, else the newest all of whose bills are made, else the newest.
        shown = [row for row in months if str(row[0]) == asked]
        shown += [row for row in months if row[5]] + months
        month = shown[0][0] if shown else None
        clients = reseller_sudo._get_margins_of("client_id", month) if month else []
        return self._render_reseller(
            "portal_reseller_margin",
            reseller_sudo,
            "margin",
            heading=request.env._("Your margin"),
            resellers=buyers_sudo.buys_for_id,
            own=buyers_sudo.filtered(lambda buyer: buyer.buys_for_id == reseller_sudo),
            months=months,
            month=month,
            total=shown[0] if shown else None,
            clients=clients[:CLIENTS_SHOWN],
            others=max(len(clients) - CLIENTS_SHOWN, 0),
            features=reseller_sudo._get_margins_of("feature_id", month) if month else [],
            name_of=lambda day: format_date(request.env, day, date_format="LLLL y"),
            percent=self._format_percent,
            chart=[
                (format_date(request.env, row[0], date_format="MMM yy"), row[3])
                for row in reversed(months)
            ],
            dump=json.dumps,
        )

    def _format_percent(self, value):
        """Return a percentage in words of the reader's language, with one decimal; nothing of nothing."""
        if value is None:
            return ""
        return request.env["res.lang"]._format_exact(rating.exact_of(round(float(value), 1)), 1)
