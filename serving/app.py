"""The web application of the decision API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event
from typing import Annotated, Any, Final, Literal

import msgspec
from anyio import to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse
from msgspec import Meta
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from contracts.serving_columns import USER_ROLES
from contracts.settings import Api
from serving import docs_page
from serving.access.access_tokens import AccessTokens
from serving.access.auth import AUTH_TYPES, Callers, add_auth
from serving.access.rate_limits import RateLimits
from serving.access.refresh_tokens import RefreshTokens
from serving.access.user_routes import USER_TYPES, add_users
from serving.access.users import Caller, Users
from serving.analytics import LIST_TYPES, add_lists
from serving.bodies import MOST_PAYMENTS, BatchBody, Body
from serving.case_routes import CASE_TYPES, add_cases
from serving.cases import Cases
from serving.database import Database
from serving.decision import Decision
from serving.feedback import FEEDBACK_TYPES, add_feedback
from serving.request import BadRequestError, PaymentRequest, decoded
from serving.request_log import REQUEST_ID, RequestLog
from serving.schemas import (
    Problem,
    Problems,
    Refusal,
    answer,
    bad_parameters,
    json_response,
    openapi,
    problems,
    refusals,
    request_body,
)
from serving.service import LIMIT_SECONDS, DecisionService

_THREADS: Final = 8
"""Requests besides single decisions at once, each with a connection to Postgres."""


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


class Health(msgspec.Struct, frozen=True):
    """The state of each dependency by name; ready when all are."""

    status: Literal["ready", "degraded"]
    dependencies: dict[str, str]


_TYPES: Final = (
    *(PaymentRequest, Batch, Decision, Outcomes, Problems, Refusal, Health),
    *(*AUTH_TYPES, *USER_TYPES, *CASE_TYPES, *FEEDBACK_TYPES, *LIST_TYPES),
)


def create_app(
    service: DecisionService, users: Users, tokens: AccessTokens, production: Database, api: Api
) -> FastAPI:
    """Return the application, which starts to load the champions when it starts.

    `production` has the connections that read PRODUCTION, `api` the limits and the admin's name.
    """
    stopping, limits = Event(), RateLimits(api)

    callers = Callers(tokens)
    decider = callers.with_role("service", "admin")

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

    app.add_middleware(RequestLog)

    @app.exception_handler(BadRequestError)
    async def refused(_: Request, error: BadRequestError) -> Response:
        service.metrics.refused.labels(str(error.status)).inc()
        # The rest of a body that was not read to its end is not read either.
        headers = {"Connection": "close"} if error.status in (408, 413) else None
        return json_response(Problems(problems(error)), error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return await refused(request, bad_parameters(error))

    detect_options: dict[str, Any] = {
        "summary": "Decide on a payment",
        "response_class": Response,
        "openapi_extra": request_body("PaymentRequest", docs_page.WHOLE, docs_page.SHORT),
        "responses": {
            200: answer("The decision.", "Decision", docs_page.ANSWER),
            **refusals(s409="The payment was decided before, with other content."),
        },
    }

    @app.post("/api/v1/detect", **detect_options)
    @app.post("/detect", **detect_options)
    async def detect(body: Body, caller: Caller = decider) -> Response:
        limits.decide(caller.name)
        request = service.read(body, caller.name)
        waiting = asyncio.wrap_future(service.submit(request))
        try:
            decision = await asyncio.wait_for(waiting, LIMIT_SECONDS)
        except TimeoutError:
            decision = await asyncio.wrap_future(service.submit_late(request))
        return json_response(decision, headers={REQUEST_ID: decision.request_id})

    @app.post(
        "/api/v1/detect/batch",
        summary=f"Decide on up to {MOST_PAYMENTS} payments",
        response_class=Response,
        openapi_extra=request_body("Batch", {"payments": [docs_page.WHOLE, docs_page.SHORT]}),
        responses={
            200: answer("An outcome for each payment, also for one that is refused.", "Outcomes"),
            **refusals(),
        },
    )
    def detect_batch(body: BatchBody, caller: Caller = decider) -> Response:
        batch = decoded(body, Batch)
        limits.decide(caller.name, len(batch.payments))
        answers = service.detect_all([bytes(one) for one in batch.payments], caller.name)
        outcomes = [
            Outcome(one.status, detail=problems(one))
            if isinstance(one, BadRequestError)
            else Outcome(200, one)
            for one in answers
        ]
        for one in outcomes:
            if one.detail is not None:
                service.metrics.refused.labels(str(one.status)).inc()
        return json_response(Outcomes(outcomes))

    anyone = callers.with_role(*USER_ROLES)
    sessions = RefreshTokens(service.database)
    add_auth(app, users, sessions, tokens, limits, anyone, api.username)
    add_users(app, users, callers.with_role("admin"))
    analyst = callers.with_role("analyst", "admin")
    add_lists(app, production, analyst)
    add_cases(app, Cases(service.database), analyst)
    add_feedback(app, service.database, production, analyst)

    @app.get("/health/live", summary="Whether the process answers")
    def live() -> dict[str, str]:
        return {"status": "live"}

    states: dict[str, Any] = {
        "response_class": Response,
        "responses": {
            200: answer("Each part is ready.", "Health"),
            503: answer("A part is not ready; callers get degraded decisions.", "Health"),
        },
    }

    @app.get("/health", summary="Whether each part that decisions need is ready", **states)
    @app.get("/health/ready", summary="The same as /health", **states)
    def ready() -> Response:
        dependencies = service.dependencies()
        is_ready = all(one.is_ready for one in dependencies.values())
        health = Health(
            "ready" if is_ready else "degraded",
            {name: one.state for name, one in dependencies.items()},
        )
        return json_response(health, 200 if is_ready else 503)

    @app.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
    def metrics() -> Response:
        service.metrics.drifted(service.models.champions)
        text = generate_latest(service.metrics.registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    @app.get("/docs", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page.render(app.openapi(), str(request.base_url).rstrip("/")))

    app.openapi = lambda: openapi(app, _TYPES)  # type: ignore[method-assign]  # as FastAPI documents
    return app
