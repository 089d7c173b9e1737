"""The OpenAPI document: bodies of requests and answers, with examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi

from serving import docs_page
from serving.bodies import MOST_SECONDS
from serving.request import LARGEST_BODY, BadRequestError, Mistake

_REFERENCE: Final = "#/components/schemas/{name}"
_JSON: Final = msgspec.json.Encoder(decimal_format="string")


class Problem(msgspec.Struct, frozen=True):
    """A field of a request that is wrong, and a sentence; the field is null for the whole."""

    field: str | None
    sentence: str


class Problems(msgspec.Struct, frozen=True):
    """The answer to a request with mistakes."""

    detail: list[Problem]


class Refusal(msgspec.Struct, frozen=True):
    """The answer to a caller who may not do this, or not now."""

    detail: str


def problems(error: BadRequestError) -> list[Problem]:
    """Return the mistakes of a request as the API sends them."""
    return [Problem(one.field, one.sentence) for one in error.mistakes]


def bad_parameters(error: RequestValidationError) -> BadRequestError:
    """Return the mistakes in the parameters of a path or a query."""
    wrong = [(str(one["loc"][-1]), one["msg"]) for one in error.errors()]
    return BadRequestError([Mistake(name, f"{name}: {message}.") for name, message in wrong])


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a value as JSON; decimals are texts with all their digits."""
    return Response(_JSON.encode(value), status, headers, "application/json")


def request_body(name: str, *values: Any) -> dict[str, Any]:
    """Return the OpenAPI object of a JSON body with examples."""
    examples = {f"example {number}": {"value": one} for number, one in enumerate(values, 1)}
    content = {"application/json": {"schema": _reference(name), "examples": examples}}
    return {"requestBody": {"required": True, "content": content}}


def form_body(**values: str) -> dict[str, Any]:
    """Return the OpenAPI object of a form, with an example of each field."""
    properties = {name: {"type": "string", "example": one} for name, one in values.items()}
    schema = {"type": "object", "required": list(values), "properties": properties}
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def answer(description: str, name: str, example: Any = None) -> dict[str, Any]:
    """Return the OpenAPI object of an answer."""
    content: dict[str, Any] = {"schema": _reference(name)}
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {"application/json": content}}


def refusals(**sentences: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI objects of refused requests: `s409="…"`, and those of all routes."""
    with_problems = {
        400: "The request is not JSON.",
        408: f"The body did not end within {MOST_SECONDS:.0f} seconds.",
        413: f"The request has more than {LARGEST_BODY} bytes.",
        422: "A field is missing, unknown or wrong.",
    }
    without = {
        401: "The token is missing, expired or forged.",
        403: "The role of the user may not do this.",
        429: "The caller has sent too many requests; Retry-After has the seconds to wait.",
        503: "Postgres is away.",
    }
    own = {int(status[1:]): text for status, text in sentences.items()}
    return {
        **{status: answer(text, "Refusal") for status, text in without.items()},
        **{
            status: answer(text, "Problems", docs_page.PROBLEMS)
            for status, text in (with_problems | own).items()
        },
    }


def openapi(app: FastAPI, types: Sequence[Any]) -> dict[str, Any]:
    """Return the OpenAPI document with the schemas of `types`."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        _, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
        app.openapi_schema = document
    return app.openapi_schema


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=name)}
