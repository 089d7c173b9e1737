"""The documentation page of the API, from its OpenAPI document and examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, select_autoescape

SHORT: Final[dict[str, Any]] = {
    "transaction_id": "example-1",
    "user_id": "789500570121",
    "amount": 943.22,
    "location": "Miami, FL",
    "timestamp": "2024-08-31T22:04:11Z",
    "merchant_type": "shopping_net",
}
WHOLE: Final[dict[str, Any]] = {
    "transaction_id": "example-2",
    "source_system": "sparkov",
    "customer_id": "789500570121",
    "card_number": "4613314721966",
    "amount": 943.22,
    "currency": "USD",
    "timestamp": "2024-08-31T22:04:11Z",
    "merchant_id": "Kuhn LLC",
    "merchant_category": "shopping_net",
    "channel": "web",
    "payment_method": "card",
    "country": "US",
    "location": "Miami, FL",
    "lat": 25.8,
    "lon": -80.1,
    "home_lat": 25.8,
    "home_lon": -80.2,
    "device_id": "d-17",
    "ip": "203.0.113.7",
}
ANSWER: Final[dict[str, Any]] = {
    "request_id": "0d2cf6c0-3f0b-4b6c-9d1e-3f1f4a4e7f52",
    "transaction_id": "example-2",
    "source_system": "sparkov",
    "risk_score": 0.87,
    "risk_level": "HIGH",
    "recommendation": "REVIEW",
    "reason_codes": [
        {
            "code": "AMOUNT_TO_MEAN_RATIO",
            "sentence": "The amount of 943.22 USD is 6.2 times the customer's 30-day mean of"
            " 152.10.",
        }
    ],
    "model": {"name": "fraud_detector_sparkov", "version": 1},
    "rules_version": 1,
    "feature_list_version": "2",
    "features": {"amount": 943.22, "amount_to_mean_ratio": 6.2},
    "degraded": False,
    "degraded_causes": [],
    "recorded": True,
    "decided_at": "2026-11-29T12:00:00.123456Z",
    "duration_ms": 14.2,
}
USER: Final[dict[str, Any]] = {
    "username": "payments",
    "password": "twelve characters or more",
    "role": "service",
}
PROBLEMS: Final[dict[str, Any]] = {
    "detail": [{"field": "amount", "sentence": "amount: the amount is below zero."}]
}
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape()
)


def render(openapi: dict[str, Any], address: str) -> str:
    """Return the page; `address` is that under which the reader reaches the API."""
    schemas = openapi["components"]["schemas"]
    return _TEMPLATES.get_template("docs_page.html").render(
        openapi=openapi,
        address=address,
        operations=[
            (path, method.upper(), operation)
            for path, methods in openapi["paths"].items()
            for method, operation in methods.items()
        ],
        tables=[(name, _fields(schemas[name])) for name in ("PaymentRequest", "Decision")],
        examples=[
            (name, json.dumps(body, indent=2))
            for name, body in (("Short form", SHORT), ("Whole form", WHOLE))
        ],
        answer=json.dumps(ANSWER, indent=2),
        problems=json.dumps(PROBLEMS, indent=2),
    )


def _fields(schema: dict[str, Any]) -> list[tuple[str, str, bool, str]]:
    """Return name, type, whether it is required, and description of each field."""
    required = schema.get("required", ())
    return [
        (name, _type(field), name in required, field.get("description", ""))
        for name, field in schema["properties"].items()
    ]


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if "$ref" in field:
        return "object"
    kind = field.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
