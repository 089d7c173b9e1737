"""Lists of PRODUCTION for analysts: payments, alerts, days, and the performance of models."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Final, Literal

import msgspec
import psycopg
from fastapi import FastAPI, HTTPException, Query, Response
from psycopg import sql
from psycopg.rows import dict_row
from pydantic import BaseModel, BeforeValidator, Field

from contracts.table import Table
from contracts.tables import TABLES
from serving.database import Database
from serving.request import BadRequestError, Mistake, require_source
from serving.schemas import answer, json_response, refusals

LISTS: Final[Mapping[str, Table]] = {
    "transactions": TABLES["production.fct_transactions"],
    "fraud-alerts": TABLES["production.fct_fraud_alerts"],
    "summary": TABLES["production.rpt_fraud_daily"],
    "model-performance": TABLES["production.rpt_model_performance"],
}
"""The table of PRODUCTION behind each list."""
MOST_ROWS: Final = 1_000
_DATE: Final = "event_date"
NEXT: Final = "X-Next"
"""Header of an answer that has a next page: the value of `after` that gives it."""


def _date(text: str) -> date:
    """Read a date of ISO 8601. Pydantic reads a number as seconds since 1970."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError("a date is written as 2024-05-31") from error


class Page(BaseModel, extra="forbid"):
    """The rows of a list that are wanted; None does not filter."""

    source_system: str | None = None
    after: str | None = Field(None, description=f"{NEXT} of the page before.")
    limit: int = Field(100, ge=1, le=MOST_ROWS)


class Wanted(Page):
    """The rows of a list of PRODUCTION that are wanted, and how they are written."""

    first: Annotated[date, BeforeValidator(_date)] | None = Field(None, alias="from")
    last: Annotated[date, BeforeValidator(_date)] | None = Field(None, alias="to")
    format: Literal["json", "csv"] = "json"


class Rows(msgspec.Struct, frozen=True):
    """A page of rows with the columns of the data dictionary; `next` is null on the last one."""

    rows: list[dict[str, Any]]
    next: str | None


LIST_TYPES: Final = (Rows,)
_ROWS: Final = answer("A page of rows.", "Rows")
_ROWS["content"]["text/csv"] = {"schema": {"type": "string"}}
_RESPONSES: Final = {
    200: _ROWS,
    404: answer("PRODUCTION does not have the table yet.", "Refusal"),
    **refusals(),
}


def page(
    connection: psycopg.Connection, table: Table, wanted: Wanted
) -> tuple[list[dict[str, Any]], str | None]:
    """Return rows of a table in the order of date and key, and the cursor of the next page.

    Raises:
        BadRequestError: when `after` is no cursor of this list.
    """
    order = (_DATE, *(name for name in table.key if name != _DATE))
    conditions: list[sql.Composable] = [sql.SQL("true")]
    values: list[Any] = []
    for condition, value in (
        ("source_system = %s", wanted.source_system),
        (f"{_DATE} >= %s", wanted.first),
        (f"{_DATE} <= %s", wanted.last),
    ):
        if value is not None:
            conditions.append(sql.SQL(condition))
            values.append(value)
    columns = sql.SQL(", ").join(map(sql.Identifier, order))
    if wanted.after is not None:
        position = position_of(wanted.after, (str | int,) * len(order))
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(order))
        conditions.append(sql.SQL("({}) > ({})").format(columns, marks))
        values += position
    query = sql.SQL("select {} from {} where {} order by {} limit %s").format(
        sql.SQL(", ").join(map(sql.Identifier, table.column_names)),
        sql.Identifier(table.zone, table.short_name),
        sql.SQL(" and ").join(conditions),
        columns,
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query, [*values, wanted.limit + 1]).fetchall()
    shown = rows[: wanted.limit]
    is_last = len(rows) <= wanted.limit
    return shown, None if is_last else cursor_of([shown[-1][name] for name in order])


def add_lists(app: FastAPI, database: Database, analyst: Any) -> None:
    """Add the lists to an application, for the callers of the dependency `analyst`."""

    def add(name: str, table: Table) -> None:
        @app.get(
            f"/api/v1/analytics/{name}",
            summary=f"One row per {table.grain}",
            dependencies=[analyst],
            responses=_RESPONSES,
            response_class=Response,
        )
        def listed(wanted: Annotated[Wanted, Query()]) -> Response:
            require_source(wanted.source_system)
            try:
                rows, following = database.run(lambda connection: page(connection, table, wanted))
            except psycopg.errors.UndefinedTable as error:
                raise HTTPException(404, f"PRODUCTION has no {table.short_name} yet.") from error
            except (psycopg.DataError, psycopg.errors.UndefinedFunction) as error:
                raise no_cursor() from error
            except psycopg.Error as error:
                raise HTTPException(503, "Postgres is away: ask again later.") from error
            headers = {} if following is None else {NEXT: following}
            if wanted.format == "csv":
                return Response(
                    _csv(table.column_names, rows), media_type="text/csv", headers=headers
                )
            return json_response(Rows(rows, following), headers=headers)

    for name, table in LISTS.items():
        add(name, table)


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def cursor_of(position: Sequence[Any]) -> str:
    """Return the cursor of the page after a position in an order."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def position_of(cursor: str, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the position of a cursor, with values of `kinds`.

    Raises:
        BadRequestError: when it is no such cursor.
    """
    try:
        written = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.convert(msgspec.json.decode(written), tuple[kinds])  # type: ignore[valid-type]
    except (ValueError, RecursionError) as error:
        raise no_cursor() from error


def no_cursor() -> BadRequestError:
    """Return the error for an `after` that no page has given."""
    sentence = f"after: this is no cursor of the list. Give the header {NEXT} of the page before."
    return BadRequestError([Mistake("after", sentence)])
