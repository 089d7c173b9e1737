"""Cases: decisions of REVIEW or DECLINE, which analysts claim and decide.

A case has events (claimed, released, decided), and its last event is its state. An event has the
next number of its case, so that of two at once the primary key lets one in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec
import psycopg
from psycopg.rows import dict_row

from contracts.columns import RISK_LEVELS
from contracts.tables import TABLES
from ml.reason_sentences import Reason
from serving import feedback
from serving.access.users import Caller
from serving.database import Database
from serving.feedback import Feedback, Verdict

CLAIM: Final = timedelta(minutes=30)
Status = Literal["open", "claimed", "decided"]
Level = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]
_EVENTS: Final = TABLES["serving.case_events"].name
_RANK: Final = f"array_position(array{list(RISK_LEVELS)}, d.risk_level)"
_ORDER: Final = ("by_risk", "by_score", "decided_at", "alert_id")
"""Highest risk first, then the earliest decision. The last one makes the order total."""
POSITION: Final = (int, float, str, str)
"""Types of a position in this order."""
_CASES: Final = f"""
select * from (
    select
        d.request_id as alert_id, d.event_id as transaction_id, d.source_system, d.event_at,
        d.event_date, d.customer_id, d.counterparty_id, d.amount, d.currency,
        upper(d.risk_level) as risk_level, d.score as risk_score,
        upper(d.decision) as recommendation, d.answer, d.decided_at,
        case
            when e.case_event = 'decided' then 'decided'
            when e.case_event = 'claimed' and e.claim_ends_at > now() then 'claimed'
            else 'open'
        end as status,
        case when e.case_event = 'decided' or e.claim_ends_at > now() then e.user_name end as owner,
        case when e.claim_ends_at > now() then e.claim_ends_at end as claim_ends_at,
        f.outcome, coalesce(e.case_event_number, 0) as events,
        -{_RANK} as by_risk, -coalesce(d.score, -1) as by_score
    from serving.decisions as d
    left join lateral (
        select * from {_EVENTS} as x
        where x.source_system = d.source_system and x.event_id = d.event_id
        order by x.case_event_number desc limit 1
    ) as e on true
    left join lateral (
        select feedback_outcome as outcome from serving.feedback as x
        where x.source_system = d.source_system and x.event_id = d.event_id
        order by x.known_at desc limit 1
    ) as f on true
    where d.decision <> 'approve' and {{condition}}
) as cases
"""  # noqa: S608 - our own names
_ONE: Final = _CASES.format(condition="d.request_id = %s")
_PAGE: Final = (
    _CASES.format(
        condition="d.source_system = coalesce(%(source)s, d.source_system)"
        " and d.risk_level = coalesce(%(level)s, d.risk_level)"
    )
    + " where status = %(status)s"
)
_NAMES: Final = ", ".join(_ORDER)
_AFTER: Final = f" and ({_NAMES}) > ({', '.join(f'%({name})s' for name in _ORDER)})"
_ORDERED: Final = f" order by {_NAMES} limit %(limit)s"
_ADD_EVENT: Final = (
    f"insert into {_EVENTS} values (%s, %s, %s, %s, %s, now(), now() + %s)"  # noqa: S608
    " on conflict do nothing"
)


class Case(msgspec.Struct, frozen=True):
    """A decision to review. Identifiers of persons are the tokens of the lake.

    `owner` has claimed or decided the case. `outcome` is that of the latest feedback.
    """

    alert_id: str
    transaction_id: str
    source_system: str
    event_at: datetime
    customer_id: str
    counterparty_id: str | None
    amount: Decimal
    currency: str
    risk_level: Level
    risk_score: float | None
    recommendation: Literal["REVIEW", "DECLINE"]
    reason_codes: list[Reason]
    decided_at: datetime
    status: Status
    owner: str | None
    claim_ends_at: datetime | None
    outcome: Verdict | None


class _Answer(msgspec.Struct, frozen=True):
    reason_codes: list[Reason]


class NoCaseError(LookupError):
    """Raised when no decision to review has an identifier."""


class OtherStateError(ValueError):
    """Raised, with a sentence, when a case is not in the state that an action needs."""


class Cases:
    """The cases of serving.decisions and their events in serving.case_events."""

    def __init__(self, database: Database) -> None:
        """Use the connections of the API."""
        self._database = database

    def page(
        self,
        status: Status,
        source: str | None,
        level: Level | None,
        position: Sequence[Any] | None,
        limit: int,
    ) -> tuple[list[Case], list[Any] | None]:
        """Return cases, highest risk first, and the position after which the next page begins.

        Raises:
            psycopg.DataError: when `position` is not one of a page.
            psycopg.Error: when Postgres is away.
        """
        values: dict[str, Any] = {"status": status, "source": source, "limit": limit + 1}
        values["level"] = level and level.lower()
        query = _PAGE
        if position is not None:
            query += _AFTER
            values |= dict(zip(_ORDER, position, strict=True))
        rows = self._database.run(lambda one: _rows(one, query + _ORDERED, values))
        shown = rows[:limit]
        following = None if len(rows) <= limit else [shown[-1][name] for name in _ORDER]
        return [_case(row) for row in shown], following

    def claim(self, alert_id: str, caller: Caller) -> Case:
        """Claim a case for a user for the time `CLAIM`, or prolong the claim of the user.

        Raises:
            NoCaseError: when there is no such case.
            OtherStateError: when another user has claimed it, or it is decided.
            psycopg.Error: when Postgres is away.
        """

        def claimed(connection: psycopg.Connection) -> Case:
            row = _find(connection, alert_id)
            _refuse_decided(row)
            _refuse_claimed_by_other(row, caller)
            _add(connection, row, "claimed", caller, CLAIM)
            return _case(_find(connection, alert_id))

        return self._database.run(claimed)

    def release(self, alert_id: str, caller: Caller) -> Case:
        """End the claim of a user, or of any user for an admin, so that the case is open again.

        Raises:
            NoCaseError: when there is no such case.
            OtherStateError: when the user has not claimed it.
            psycopg.Error: when Postgres is away.
        """

        def released(connection: psycopg.Connection) -> Case:
            row = _find(connection, alert_id)
            _require_claimed(row, caller, may_be_other=caller.role == "admin")
            _add(connection, row, "released", caller)
            return _case(_find(connection, alert_id))

        return self._database.run(released)

    def decide(self, alert_id: str, caller: Caller, outcome: Verdict, note: str | None) -> Feedback:
        """Decide a case that the user has claimed, and store the feedback in one transaction.

        Raises:
            BadRequestError: when the note has a control character.
            NoCaseError: when there is no such case.
            OtherStateError: when the user has not claimed it, or it is decided.
            psycopg.Error: when Postgres is away.
        """

        def decided(connection: psycopg.Connection) -> Feedback:
            row = _find(connection, alert_id)
            _refuse_decided(row)
            _require_claimed(row, caller)
            _add(connection, row, "decided", caller)
            day: date = row["event_date"]
            key = (row["source_system"], row["transaction_id"])
            return feedback.store(connection, *key, day, outcome, note, caller.name)

        return self._database.run(decided)


def _rows(connection: psycopg.Connection, query: str, values: Any) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()


def _find(connection: psycopg.Connection, alert_id: str) -> dict[str, Any]:
    rows = _rows(connection, _ONE, (alert_id,))
    if not rows:
        raise NoCaseError
    return rows[0]


def _case(row: dict[str, Any]) -> Case:
    reasons = msgspec.json.decode(row["answer"], type=_Answer).reason_codes
    values = {name: row[name] for name in Case.__struct_fields__ if name != "reason_codes"}
    return Case(**values, reason_codes=reasons)


def _add(
    connection: psycopg.Connection,
    row: dict[str, Any],
    event: str,
    caller: Caller,
    ends_in: timedelta | None = None,
) -> None:
    """Add the next event of a case, unless another user was faster."""
    key = (row["source_system"], row["transaction_id"], row["events"] + 1)
    values = (*key, event, caller.name, ends_in)
    if connection.execute(_ADD_EVENT.encode(), values).rowcount == 1:
        return
    now = _find(connection, row["alert_id"])
    _refuse_decided(now)
    _refuse_claimed_by_other(now, caller)
    raise OtherStateError("The case has changed meanwhile: look at it again.")


def _refuse_decided(row: dict[str, Any]) -> None:
    if row["status"] == "decided":
        raise OtherStateError(
            f"{row['owner']} has decided the case: {row['outcome']}. Correct it by"
            f" POST {feedback.FEEDBACK}."
        )


def _refuse_claimed_by_other(row: dict[str, Any], caller: Caller) -> None:
    if row["status"] == "claimed" and row["owner"] != caller.name:
        ends = f"{row['claim_ends_at']:%H:%M} UTC"
        raise OtherStateError(f"{row['owner']} has claimed the case until {ends}.")


def _require_claimed(row: dict[str, Any], caller: Caller, *, may_be_other: bool = False) -> None:
    if row["status"] == "claimed" and may_be_other:
        return
    _refuse_claimed_by_other(row, caller)
    if row["status"] != "claimed":
        raise OtherStateError(
            f"The case is {row['status']} and not claimed by you: claim it first."
        )
