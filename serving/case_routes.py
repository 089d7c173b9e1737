"""Routes of analysts: the queue of cases, and to claim, release and decide one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec
import psycopg
from fastapi import FastAPI, HTTPException, Query, Response

from serving.access.users import Caller
from serving.analytics import NEXT, Page, cursor_of, no_cursor, position_of
from serving.bodies import Body
from serving.cases import CLAIM, POSITION, Case, Cases, Level, NoCaseError, OtherStateError, Status
from serving.feedback import Note, Verdict
from serving.request import BadRequestError, Mistake, decoded, require_source
from serving.schemas import answer, json_response, refusals, request_body

ALERTS: Final = "/api/v1/alerts"
_T = TypeVar("_T")


class CaseList(msgspec.Struct, frozen=True):
    """A page of cases, highest risk first; `next` gives the next page, null on the last one."""

    alerts: list[Case]
    next: str | None


class Wanted(Page):
    """The cases that are wanted."""

    status: Status = "open"
    level: Level | None = None


class CaseDecision(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What an analyst has found out about the payment of a case."""

    outcome: Verdict
    note: Note = None


CASE_TYPES: Final = (CaseList, Case, CaseDecision)


def add_cases(app: FastAPI, cases: Cases, analyst: Any) -> None:
    """Add the routes to an application, for the callers of the dependency `analyst`."""
    options: dict[str, Any] = {"tags": ["cases"], "response_class": Response}
    of_one = refusals(
        s404="No case has this alert_id.", s409="Another analyst has claimed or decided the case."
    )

    def done(action: Callable[[], _T]) -> _T:
        """Return the result of an action on a case, or refuse the request with its cause."""
        try:
            return action()
        except NoCaseError as error:
            sentence = "alert_id: no decision to review has this id. Take one of the list."
            raise BadRequestError([Mistake("alert_id", sentence)], 404) from error
        except OtherStateError as error:
            raise BadRequestError([Mistake("alert_id", str(error))], 409) from error
        except psycopg.DataError as error:  # as an alert_id with NUL
            raise BadRequestError([Mistake("alert_id", "alert_id: it is no id.")], 404) from error
        except psycopg.Error as error:
            raise HTTPException(503, "Postgres is away: try again later.") from error

    @app.get(
        ALERTS,
        summary="List decisions to review or to decline, highest risk first",
        dependencies=[analyst],
        responses={200: answer("A page of cases.", "CaseList"), **refusals()},
        **options,
    )
    def listed(wanted: Annotated[Wanted, Query()]) -> Response:
        require_source(wanted.source_system)
        position = None if wanted.after is None else position_of(wanted.after, POSITION)
        try:
            found, following = cases.page(
                wanted.status, wanted.source_system, wanted.level, position, wanted.limit
            )
        except psycopg.DataError as error:
            raise no_cursor() from error
        except psycopg.Error as error:
            raise HTTPException(503, "Postgres is away: ask again later.") from error
        cursor = None if following is None else cursor_of(following)
        return json_response(
            CaseList(found, cursor), headers={} if cursor is None else {NEXT: cursor}
        )

    @app.post(
        ALERTS + "/{alert_id}/claim",
        summary=f"Claim a case for {CLAIM.seconds // 60} minutes",
        responses={200: answer("The case.", "Case"), **of_one},
        **options,
    )
    def claim(alert_id: str, caller: Caller = analyst) -> Response:
        return json_response(done(lambda: cases.claim(alert_id, caller)))

    @app.post(
        ALERTS + "/{alert_id}/release",
        summary="Release a claimed case",
        responses={200: answer("The case.", "Case"), **of_one},
        **options,
    )
    def release(alert_id: str, caller: Caller = analyst) -> Response:
        return json_response(done(lambda: cases.release(alert_id, caller)))

    @app.post(
        ALERTS + "/{alert_id}/decide",
        summary="Decide a claimed case, which stores feedback on its payment",
        status_code=201,
        openapi_extra=request_body(
            "CaseDecision", {"outcome": "false_alarm", "note": "The customer knows the payment."}
        ),
        responses={201: answer("The feedback as it is stored.", "Feedback"), **of_one},
        **options,
    )
    def decide(alert_id: str, body: Body, caller: Caller = analyst) -> Response:
        given = decoded(body, CaseDecision)
        stored = done(lambda: cases.decide(alert_id, caller, given.outcome, given.note))
        return json_response(stored, 201)
