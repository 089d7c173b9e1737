"""Decisions of the API → STAGING, by way of a shadow table for the gate; and their replays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from contracts.windows import Window
from warehouse import dbt_runner, partition_exchange
from warehouse.errors import says_what_is_away
from warehouse.migrate import DECISIONS, REPLAYS


@says_what_is_away
def stage(dsn: str, run_id: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """Copy decisions into a shadow table of staging.decisions, and return its name.

    Raises:
        WarehouseLostError: when Postgres is away; the job can be repeated.
    """
    now = datetime.now(UTC)
    run = partition_exchange.token(run_id)
    origin = partition_exchange.Origin(run, 0, 0, now.isoformat())
    name, names = partition_exchange.shadow_name(DECISIONS, run), DECISIONS.column_names
    of_run = {"recorded_at": now, "run_id": run_id}
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(partition_exchange.DROP_ABANDONED)
        for statement in partition_exchange.create(DECISIONS, run, (), origin):
            cursor.execute(statement.encode())
        with cursor.copy(f"copy {name} ({', '.join(names)}) from stdin".encode()) as copy:
            for row in rows:
                values = {**row, **of_run}
                copy.write_row([values[column] for column in names])
        for statement in partition_exchange.seal(DECISIONS, run, ()):
            cursor.execute(statement.encode())
    return name


@says_what_is_away
def add(dsn: str, name: str) -> int:
    """Move the rows of a shadow table to staging.decisions, and return the number of new ones.

    A decision that STAGING has is never replaced, and a repeat of the call adds nothing. It waits
    while dbt runs, because all models and tests of a build read the same STAGING.

    Raises:
        WarehouseLostError: when Postgres is away; the job can be repeated.
    """
    columns = ", ".join(DECISIONS.column_names)
    with psycopg.connect(dsn) as connection:
        connection.execute(f"select pg_advisory_xact_lock({dbt_runner.LOCK})".encode())
        if connection.execute("select to_regclass(%s)", (name,)).fetchone() == (None,):
            return 0
        added = connection.execute(
            f"insert into {DECISIONS.name} ({columns}) select {columns} from {name}"  # noqa: S608
            " on conflict do nothing".encode()
        ).rowcount
        connection.execute(f"drop table {name}".encode())
    return added


@says_what_is_away
def record_replays(dsn: str, window: Window, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the replays of the decisions of a window by rows of staging.decision_replays.

    Raises:
        WarehouseLostError: when Postgres is away; the job can be repeated.
    """
    insert = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(REPLAYS.zone, REPLAYS.short_name),
        sql.SQL(", ").join(map(sql.Identifier, REPLAYS.column_names)),
        sql.SQL(", ").join(map(sql.Placeholder, REPLAYS.column_names)),
    )
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(f"select pg_advisory_xact_lock({dbt_runner.LOCK})".encode())
        cursor.execute(
            f"delete from {REPLAYS.name} where decided_date between %s and %s".encode(),  # noqa: S608
            (window.start, window.end),
        )
        cursor.executemany(insert, rows)


def discard(dsn: str, name: str) -> None:
    """Drop a shadow table after its gate closed."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"drop table if exists {name}".encode())
