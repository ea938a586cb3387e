from odoo.http import request

from .portal_reseller import HOME, ResellerPortal, page


class BrandPortal(ResellerPortal):
    """How a reseller's statements look."""

    @page(f"{HOME}/<int:reseller_id>/brand", methods=["GET", "POST"])
    def reseller_brand(self, reseller_id, **post):
        reseller_sudo = self._find_reseller(reseller_id)
        self._check_right(reseller_sudo, "portal_brand")
        errors = {}
        if request.httprequest.method == "POST":
            vals = self._read_brand(reseller_sudo, post, errors)
            if not errors:
                with self._refusals(errors):
                    # Its clients read them in any language: the form has one text for all.
                    for language, _name in reseller_sudo._get_statement_langs():
                        reseller_sudo.with_context(lang=language).write(vals)
            if not errors:
                request.session["reseller_done"] = request.env._("Saved.")
                return request.redirect(f"{HOME}/{reseller_id}/brand")
        return self._render_reseller(
            "portal_reseller_brand",
            reseller_sudo,
            "brand",
            values=post,
            errors=errors,
            done=request.session.pop("reseller_done", None),
            languages=[
                (False, request.env._("That of the client")),
                *reseller_sudo._get_statement_langs(),
            ],
            columns=[
                ("statement_show_quantity", request.env._("Quantities")),
                ("statement_show_price", request.env._("Prices")),
                ("statement_show_charts", request.env._("Charts of use")),
            ],
        )

    @page(f"{HOME}/<int:reseller_id>/brand/preview", methods=["POST"])
    def reseller_brand_preview(self, reseller_id, **post):
        """Show a statement as the form would have it; nothing is saved."""
        reseller_sudo = self._find_reseller(reseller_id)
        self._check_right(reseller_sudo, "portal_brand")
        vals = self._read_brand(reseller_sudo, post, {})
        body = reseller_sudo._render_brand_preview(vals)
        return request.make_response(
            body,
            [
                ("Content-Type", "text/html; charset=utf-8"),
                # A document with pictures and styles, and no scripts.
                (
                    "Content-Security-Policy",
                    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'",
                ),
                ("X-Frame-Options", "SAMEORIGIN"),
            ],
        )

    def _read_brand(self, reseller, post, errors):
        """Return the values of a reseller's brand that a form may set."""
        vals = {
            "color_primary": self._read_text(post, "color_primary", 7),
            "statement_header": self._read_text(post, "statement_header"),
            "statement_footer": self._read_text(post, "statement_footer", 500),
            "statement_note": self._read_text(post, "statement_note", 2000, lines=True),
            "statement_lang": post.get("statement_lang") or False,
        }
        for name in ("quantity", "price", "charts"):
            vals[f"statement_show_{name}"] = post.get(f"statement_show_{name}") == "1"
        if vals["statement_lang"] not in (False, *dict(reseller._get_statement_langs())):
            errors["statement_lang"] = request.env._("Choose one of the languages.")
            vals["statement_lang"] = False
        wrong = reseller._explain_color(vals["color_primary"])
        if wrong:
            errors["color_primary"] = wrong
            vals["color_primary"] = reseller.color_primary
        upload = request.httprequest.files.get("logo")
        if post.get("remove_logo"):
            vals["logo"] = False
        elif upload and upload.filename:
            logo = reseller._read_logo(upload.stream)
            if logo:
                vals["logo"] = logo
            else:
                errors["logo"] = request.env._("A PNG, JPEG, GIF or WebP picture of at most 2 MB.")
        return vals
