"""Feedback of analysts on payments, which becomes a label of the payment."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
import psycopg
from fastapi import FastAPI, HTTPException, Response
from msgspec import Meta

from contracts.tables import TABLES
from contracts.values import ValueClass, canonical, flaw
from serving.access.users import Caller
from serving.bodies import Body
from serving.database import Database
from serving.request import BadRequestError, Mistake, decoded, require_source
from serving.schemas import answer, json_response, refusals, request_body

FEEDBACK: Final = "/api/v1/feedback"
LONGEST_NOTE: Final = 500
Verdict = Literal["confirmed_fraud", "false_alarm"]
Note = Annotated[
    Annotated[str, Meta(max_length=LONGEST_NOTE)] | None,
    Meta(description="Why, without names or numbers of persons."),
]
_ADD: Final = (
    f"insert into {TABLES['serving.feedback'].name}"  # noqa: S608 - our own names
    " values (%s, %s, %s, %s, %s, %s, %s, now()) returning known_at"
)
_KNOWN: Final = (
    "select event_date from serving.decisions where source_system = %(source)s and"
    " event_id = %(event)s union all select event_date from serving.recent_payments"
    " where source_system = %(source)s and event_id = %(event)s limit 1"
)
_PUBLISHED: Final = (
    "select event_date from production.fct_transactions"
    " where source_system = %(source)s and event_id = %(event)s"
)
_EXAMPLE: Final = {
    "transaction_id": "example-2",
    "source_system": "sparkov",
    "outcome": "confirmed_fraud",
    "note": "The customer does not know the payment.",
}


class FeedbackRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What an analyst has found out about a payment. A later feedback corrects an earlier one."""

    transaction_id: str
    source_system: str
    outcome: Verdict
    note: Note = None


class Feedback(msgspec.Struct, frozen=True):
    """Feedback as it is stored; `known_at` is the time at which the label became known."""

    feedback_id: str
    transaction_id: str
    source_system: str
    outcome: Verdict
    user: str
    known_at: datetime


FEEDBACK_TYPES: Final = (FeedbackRequest, Feedback)


def store(
    connection: psycopg.Connection,
    source: str,
    event: str,
    event_date: date,
    outcome: Verdict,
    note: str | None,
    user: str,
) -> Feedback:
    """Store feedback in the transaction of a connection, and return it.

    Raises:
        BadRequestError: when the note has a control character.
    """
    written = canonical(note) if note else None
    if written and (wrong := flaw(written, ValueClass.LABEL)):
        raise BadRequestError([Mistake("note", f"note: it {wrong}.")])
    name = str(uuid.uuid4())
    values = (name, source, event, event_date, outcome, written or None, user)
    row = connection.execute(_ADD.encode(), values).fetchone()
    if row is None:
        raise TypeError("an insert returns its row")
    return Feedback(name, event, source, outcome, user, row[0])


def add_feedback(app: FastAPI, database: Database, production: Database, analyst: Any) -> None:
    """Add the route to an application, for the callers of the dependency `analyst`.

    `production` has the connections that read PRODUCTION.
    """

    def event_date(key: dict[str, str]) -> date | None:
        """Return the date of a payment that the API or PRODUCTION knows."""
        row = database.run(lambda one: one.execute(_KNOWN.encode(), key).fetchone())
        if row is None:
            try:
                row = production.run(lambda one: one.execute(_PUBLISHED.encode(), key).fetchone())
            except psycopg.errors.UndefinedTable:
                return None
        return row[0] if row else None

    @app.post(
        FEEDBACK,
        summary="Confirm a fraud or a false alarm",
        status_code=201,
        tags=["cases"],
        response_class=Response,
        openapi_extra=request_body("FeedbackRequest", _EXAMPLE),
        responses={
            201: answer("The feedback as it is stored.", "Feedback"),
            **refusals(s404="No payment has this transaction_id."),
        },
    )
    def feedback(body: Body, caller: Caller = analyst) -> Response:
        given = decoded(body, FeedbackRequest)
        require_source(given.source_system)
        if wrong := flaw(given.transaction_id, ValueClass.IDENTIFIER):
            raise BadRequestError([Mistake("transaction_id", f"transaction_id: it {wrong}.")])
        event, source = canonical(given.transaction_id), given.source_system
        try:
            day = event_date({"source": source, "event": event})
            if day is None:
                sentence = (
                    f"transaction_id: neither the API nor PRODUCTION has a payment of {source} with"
                    " this id. Check id and source_system."
                )
                raise BadRequestError([Mistake("transaction_id", sentence)], 404)
            stored = database.run(
                lambda one: store(one, source, event, day, given.outcome, given.note, caller.name)
            )
        except psycopg.Error as error:
            raise HTTPException(503, "Postgres is away: send the feedback again.") from error
        return json_response(stored, 201)
