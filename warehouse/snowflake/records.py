"""Records of runs in Postgres → STAGING on Snowflake, where dbt's sources are.

Runs are recorded in Postgres on every platform, because they are many short transactions of a few
rows, which Snowflake would bill by the minute.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import psycopg

from contracts.columns import LogicalType
from contracts.render import to_arrow
from contracts.settings import Settings
from contracts.tables import Table
from warehouse import partition_exchange
from warehouse.migrate import (
    BALANCES,
    DECISIONS,
    GATE_RESULTS,
    LEDGER,
    RECORDS,
    RUN_TASKS,
    STREAM_ALERTS,
)
from warehouse.snowflake.files import fill
from warehouse.snowflake.load import LOADED
from warehouse.snowflake.session import Session, alone, connect

if TYPE_CHECKING:
    import pyarrow as pa

_OVERLAP: Final = timedelta(days=1)
"""Overlap of two copies, as in the marts of runs: a row recorded during a copy is in the next."""

_RECENT: Final = {
    LEDGER: (LEDGER, "finished_at"),
    BALANCES: (LEDGER, "finished_at"),
    RUN_TASKS: (RUN_TASKS, "finished_at"),
    GATE_RESULTS: (GATE_RESULTS, "checked_at"),
    STREAM_ALERTS: (STREAM_ALERTS, "recorded_at"),
    DECISIONS: (DECISIONS, "recorded_at"),
}
"""Tables of which only recent runs are copied, by a table and its time column; others in full."""


def copy_records(settings: Settings) -> None:
    """Copy new records of runs and models from Postgres to Snowflake."""
    with (
        alone(settings),
        psycopg.connect(settings.warehouse.dsn("loader")) as postgres,
        connect(settings, "loader") as session,
    ):
        postgres.execute("set transaction isolation level repeatable read")
        since = {table: _newest(session, *known) for table, known in _RECENT.items()}
        for table in RECORDS:
            if table not in LOADED:
                _copy(postgres, session, table, since.get(table))


def _newest(session: Session, table: Table, column: str) -> datetime:
    ((newest,),) = session.rows(f"select max({column}) from {table.name}")  # noqa: S608
    return newest - _OVERLAP if newest else datetime.min.replace(tzinfo=UTC)


def _copy(
    postgres: psycopg.Connection, session: Session, table: Table, since: datetime | None
) -> None:
    recent, replaced = "true", "true"
    shadow = f"{partition_exchange.SCHEMA}.{table.short_name}__recorded"
    if table in _RECENT:
        parent, column = _RECENT[table]
        recent = f"run_id in (select run_id from {parent.name} where {column} >= %(since)s)"  # noqa: S608
        replaced = f"run_id in (select run_id from {shadow})"  # noqa: S608
    rows = read(postgres, table, recent, {"since": since})
    columns = ", ".join(table.column_names)
    fill(session, table, shadow, rows.to_reader())
    with session.transaction():
        session.run(f"delete from {table.name} where {replaced}")  # noqa: S608
        session.run(f"insert into {table.name} ({columns}) select {columns} from {shadow}")  # noqa: S608
    session.run(f"drop table {shadow}")


def read(
    postgres: psycopg.Connection, table: Table, where: str, values: dict[str, Any]
) -> pa.Table:
    """Return rows of a table of STAGING on Postgres, with the Arrow types of its contract."""
    import pyarrow as pa

    columns = ", ".join(
        f"{column.name}::text" if column.type is LogicalType.JSON else column.name
        for column in table.columns
    )
    query = f"select {columns} from {table.name} where {where}"  # noqa: S608 - our own names
    schema = to_arrow.schema(table)
    rows = postgres.execute(query.encode(), values).fetchall()
    return pa.Table.from_pylist([dict(zip(schema.names, r, strict=True)) for r in rows], schema)
