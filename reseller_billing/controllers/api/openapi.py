import json

from odoo import http
from odoo.http import request
from odoo.tools import file_open

SCHEMA = "#/components/schemas/"


class OpenapiController(http.Controller):
    """What the addresses for systems take and answer: for programs, and as a page for people."""

    @http.route(
        "/reseller_billing/v1/openapi.json",
        type="http",
        auth="none",
        methods=["GET"],
        save_session=False,
    )
    def openapi(self):
        """Return the OpenAPI 3.1 description of these addresses."""
        return request.make_json_response(self._load())

    @http.route(
        "/reseller_billing/v1/docs",
        type="http",
        auth="public",
        methods=["GET"],
        website=True,  # Odoo's page around it wants its languages
        multilang=False,
        sitemap=False,
        save_session=False,
    )
    def docs(self):
        """Show the description as a page."""
        description = self._load()
        schemas = description["components"]["schemas"]
        operations = [
            {
                **operation,
                "method": method.upper(),
                "path": path,
                "bodies": self._get_contents(operation.get("requestBody")),
                "answers": [
                    {**answer, "status": status, "contents": self._get_contents(answer)}
                    for status, answer in operation["responses"].items()
                ],
            }
            for path, methods in description["paths"].items()
            for method, operation in methods.items()
        ]
        return request.render(
            "reseller_billing.openapi_page",
            {
                "info": description["info"],
                "operations": operations,
                "keys": description["components"]["securitySchemes"].values(),
                "schemas": {name: self._get_rows(schema) for name, schema in schemas.items()},
                "notes": {name: schema.get("description") for name, schema in schemas.items()},
            },
        )

    def _load(self):
        with file_open("reseller_billing/static/openapi.json") as stream:
            return json.load(stream)

    def _get_contents(self, part):
        """Return [(content type, what it is)] of a request's body or an answer."""
        return [
            (kind, content.get("schema", {}))
            for kind, content in (part or {}).get("content", {}).items()
        ]

    def _get_rows(self, schema, before=""):
        """Return [(name, type, whether it is required, description)] of an object's values, those of objects
        in it after theirs.
        """
        rows = []
        required = schema.get("required", [])
        for name, value in schema.get("properties", {}).items():
            path = f"{before}{name}"
            rows.append(
                (path, self._get_type(value), name in required, value.get("description", ""))
            )
            inner = value.get("items", value)
            rows += self._get_rows(inner, f"{path}[]." if "items" in value else f"{path}.")
        return rows

    def _get_type(self, schema):
        """Return what a value is, in the words of JSON Schema."""
        if "$ref" in schema:
            return schema["$ref"].removeprefix(SCHEMA)
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            return " | ".join(json.dumps(value) for value in schema["enum"])
        if schema.get("type") == "array":
            return f"array of {self._get_type(schema.get('items', {}))}"
        for several in ("oneOf", "anyOf"):
            if several in schema:
                return " | ".join(self._get_type(one) for one in schema[several])
        kind = schema.get("type", "any")
        text = " | ".join(kind) if isinstance(kind, list) else kind
        return f"{text} ({schema['format']})" if "format" in schema else text
