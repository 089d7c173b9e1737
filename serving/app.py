"""The web application of the decision API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import msgspec
import psycopg
from anyio import to_thread
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import OAuth2PasswordBearer
from msgspec import Meta
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from serving import docs_page
from serving.access_tokens import LIFETIME, AccessTokens, TokenError
from serving.analytics import add_lists
from serving.database import Database
from serving.decision import Decision
from serving.request import (
    LARGEST_BODY,
    BadRequestError,
    Mistake,
    PaymentRequest,
    decoded,
    too_large,
)
from serving.service import LIMIT_SECONDS, DecisionService
from serving.users import Caller, Users

_encode: Final = msgspec.json.Encoder().encode
LOGIN: Final = "/api/v1/auth/login"
_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}
_THREADS: Final = 8
"""Requests besides single decisions at once, each with a connection to Postgres."""
MOST_PAYMENTS: Final = 500
_REFERENCE: Final = "#/components/schemas/{name}"


class Problem(msgspec.Struct, frozen=True):
    """A field of a request that is wrong, and a sentence; the field is null for the whole."""

    field: str | None
    sentence: str


class Problems(msgspec.Struct, frozen=True):
    """The answer to a request without a valid payment."""

    detail: list[Problem]


class Batch(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Payments to decide on, in the order in which they happened."""

    payments: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MOST_PAYMENTS)]


class Outcome(msgspec.Struct, frozen=True):
    """The answer to a payment of a batch: the status that it has alone, and one of the others."""

    status: int
    decision: Decision | None = None
    detail: list[Problem] | None = None


class Outcomes(msgspec.Struct, frozen=True):
    """The answers to the payments of a batch, in their order."""

    outcomes: list[Outcome]


def _body_of(payments: int) -> Any:
    """Return the dependency that gives the body of a request with up to `payments`.

    It refuses a body that is too large before it is read whole.
    """

    async def limited(request: Request) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > payments * LARGEST_BODY:
                raise too_large(payments)
        return bytes(body)

    return Depends(limited)


Body = Annotated[bytes, _body_of(1)]
BatchBody = Annotated[bytes, _body_of(MOST_PAYMENTS)]
Token = Annotated[
    str, Depends(OAuth2PasswordBearer(LOGIN, description="Name and password of a user."))
]


class UserRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A user to add.

    The role `service` has payments decided, `analyst` reads PRODUCTION, and `admin` does both and
    adds users.
    """

    username: str
    password: str
    role: str


def create_app(
    service: DecisionService, users: Users, tokens: AccessTokens, production: Database
) -> FastAPI:
    """Return the application, which starts to load the champions when it starts.

    `production` has the connections that read PRODUCTION.
    """
    stopping = Event()

    def caller_with(*roles: str) -> Any:
        """Return the dependency that gives the caller, and refuses one without a role."""

        async def caller(token: Token) -> Caller:
            try:
                known = tokens.caller(token)
            except TokenError as error:
                raise HTTPException(401, str(error), _CHALLENGE) from error
            if known.role not in roles:
                raise HTTPException(403, f"The role {known.role} may not do this.")
            return known

        return Depends(caller)

    decider, admin = caller_with("service", "admin"), caller_with("admin")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        service.start(stopping)
        yield
        stopping.set()

    app = FastAPI(
        title="Tollgate decision API",
        version="1",
        description="Decides on one payment with the features, the champion and the rules of the"
        " platform. A user signs in with name and password and gets a token for 15 minutes.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page loads its program from another host
        redoc_url=None,
    )

    @app.exception_handler(BadRequestError)
    async def refused(_: Request, error: BadRequestError) -> Response:
        service.metrics.refused.labels(str(error.status)).inc()
        content = _encode(Problems(_problems(error)))
        return Response(content, error.status, media_type="application/json")

    detect_options: dict[str, Any] = {
        "summary": "Decide on a payment",
        "response_class": Response,
        "openapi_extra": {
            "requestBody": _request_body("PaymentRequest", docs_page.WHOLE, docs_page.SHORT)
        },
        "responses": {
            200: _answer("The decision.", "Decision", docs_page.ANSWER),
            401: {"description": "The token is missing, expired or forged."},
            403: {"description": "The role of the user may not have payments decided."},
            **{
                status: _answer(text, "Problems", docs_page.PROBLEMS)
                for status, text in (
                    (400, "The request is not JSON."),
                    (409, "The payment was decided before, with other content."),
                    (413, f"The request has more than {LARGEST_BODY} bytes."),
                    (422, "A field is missing, unknown or wrong."),
                )
            },
        },
    }

    @app.post("/api/v1/detect", **detect_options)
    @app.post("/detect", **detect_options)
    async def detect(body: Body, caller: Caller = decider) -> Response:
        request = service.read(body, caller.name)
        waiting = asyncio.wrap_future(service.submit(request))
        try:
            decision = await asyncio.wait_for(waiting, LIMIT_SECONDS)
        except TimeoutError:
            decision = service.alone(request)
        headers = {"X-Request-ID": decision.request_id}
        return Response(_encode(decision), media_type="application/json", headers=headers)

    @app.post(
        "/api/v1/detect/batch",
        summary=f"Decide on up to {MOST_PAYMENTS} payments",
        response_class=Response,
        openapi_extra={
            "requestBody": _request_body("Batch", {"payments": [docs_page.WHOLE, docs_page.SHORT]})
        },
        responses={
            200: _answer("An outcome for each payment, also for one that is refused.", "Outcomes"),
        },
    )
    def detect_batch(body: BatchBody, caller: Caller = decider) -> Response:
        batch = decoded(body, Batch)
        answers = service.detect_all([bytes(one) for one in batch.payments], caller.name)
        outcomes = [
            Outcome(one.status, detail=_problems(one))
            if isinstance(one, BadRequestError)
            else Outcome(200, one)
            for one in answers
        ]
        for one in outcomes:
            if one.detail is not None:
                service.metrics.refused.labels(str(one.status)).inc()
        return Response(_encode(Outcomes(outcomes)), media_type="application/json")

    @app.post(
        LOGIN,
        summary="Sign in: form fields username and password give a token",
        openapi_extra={"requestBody": docs_page.LOGIN_FORM},
    )
    def login(body: Body) -> dict[str, Any]:
        form = parse_qs(body.decode(errors="replace"), max_num_fields=10)
        for field in ("username", "password"):
            if field not in form:
                raise BadRequestError([Mistake(field, f"{field}: the form field is missing.")])
        try:
            known = users.signed_in(form["username"][0], form["password"][0])
        except psycopg.Error as error:
            raise HTTPException(503, "Postgres is away: sign in again later.") from error
        if known is None:
            raise HTTPException(401, "Name or password is wrong.", _CHALLENGE)
        seconds = int(LIFETIME.total_seconds())
        token = tokens.issue(known)
        return {"access_token": token, "token_type": "bearer", "expires_in": seconds}

    @app.post(
        "/api/v1/users",
        summary="Add a user, as an admin",
        status_code=201,
        dependencies=[admin],
        openapi_extra={"requestBody": _request_body("UserRequest", docs_page.USER)},
    )
    def add_user(body: Body) -> dict[str, str]:
        user = decoded(body, UserRequest)
        try:
            users.add(user.username, user.password, user.role)
        except psycopg.Error as error:
            raise HTTPException(503, "Postgres is away: add the user later.") from error
        return {"username": user.username, "role": user.role}

    add_lists(app, production, caller_with("analyst", "admin"))

    @app.get("/health/live", summary="Whether the process answers")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health", summary="Whether each part that decisions need is ready")
    @app.get("/health/ready", summary="The same as /health")
    def ready() -> JSONResponse:
        dependencies = service.dependencies()
        is_ready = all(one.is_ready for one in dependencies.values())
        states = {name: one.state for name, one in dependencies.items()}
        status = "ready" if is_ready else "degraded"
        content = {"status": status, "dependencies": states}
        return JSONResponse(content, 200 if is_ready else 503)

    @app.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
    def metrics() -> Response:
        text = generate_latest(service.metrics.registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    @app.get("/docs", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page.render(app.openapi(), str(request.base_url).rstrip("/")))

    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # as FastAPI documents
    return app


def _problems(error: BadRequestError) -> list[Problem]:
    return [Problem(one.field, one.sentence) for one in error.mistakes]


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document with the schemas of request and answers."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        types = (PaymentRequest, Batch, Decision, Outcomes, Problems, UserRequest)
        _, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
        document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
        app.openapi_schema = document
    return app.openapi_schema


def _request_body(name: str, *values: Any) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(name=name)}
    examples = {f"example {number}": {"value": one} for number, one in enumerate(values, 1)}
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {"required": True, "content": content}


def _answer(description: str, name: str, example: Any = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": _REFERENCE.format(name=name)}}
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {"application/json": content}}
