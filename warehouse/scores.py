"""Scores → STAGING: copied into a shadow table for the gate, then added to the existing scores."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import psycopg

from contracts.render import to_arrow, to_postgres
from contracts.stage_results import ScoreResult
from contracts.tables import TABLES, Table
from warehouse import partition_exchange
from warehouse.errors import says_what_is_away

if TYPE_CHECKING:
    import pyarrow as pa
    from adbc_driver_postgresql.dbapi import Cursor

_SCORES: Final = TABLES["staging.scores"]
_DRIFT: Final = TABLES["staging.feature_drift"]


@says_what_is_away
def stage_scores(
    dsn: str, scored: ScoreResult, scores: pa.Table, drift: pa.Table | None = None
) -> ScoreResult:
    """Copy scores into a shadow table of STAGING, and return the result with the name of the table.

    `drift` has the drift of the scored features, for a champion that recorded its training data.
    """
    import adbc_driver_postgresql.dbapi as adbc

    rows_of = {_SCORES: scores} if drift is None else {_SCORES: scores, _DRIFT: drift}
    run = partition_exchange.token(scored.run_id)
    names = {table.name: partition_exchange.shadow_name(table, run) for table in rows_of}
    with adbc.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(partition_exchange.DROP_ABANDONED)
        for table, rows in rows_of.items():
            _copy(cursor, table, run, rows)
        connection.commit()
    return replace(scored, beside=names)


def _copy(cursor: Cursor, table: Table, run: str, rows: pa.Table) -> None:
    name = partition_exchange.shadow_name(table, run)
    columns = rows.select(list(table.column_names)).cast(to_arrow.schema(table))
    # Not partitioned by day: its rows are inserted into the partitions, not attached.
    create = f"create table {name} ({to_postgres.columns(table)})"
    origin = partition_exchange.Origin(run, 0, 0, datetime.now(UTC).isoformat())
    comment = f"comment on table {name} is '{origin.comment()}'"
    cursor.execute(partition_exchange.together([f"drop table if exists {name}", create, comment]))
    schema, _, short = name.partition(".")
    cursor.adbc_ingest(short, columns.to_reader(), mode="append", db_schema_name=schema)
    key = f"alter table {name} add primary key ({', '.join(table.key)})"
    cursor.execute(partition_exchange.together([key, f"analyze {name}"]))


@says_what_is_away
def swap_scores(dsn: str, staged: ScoreResult) -> int:
    """Insert the staged scores and return the number of new ones.

    A score of a payment and a model version is never replaced, so a second run of the same window
    adds nothing, and the score behind a decision stays readable. Drift covers all payments of a
    day, so the latest run replaces it.
    """
    names = staged.beside
    with psycopg.connect(dsn) as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (_SCORES.name,))
        name = names[_SCORES.name]
        if connection.execute("select to_regclass(%s)", (name,)).fetchone() == (None,):
            return 0
        days = connection.execute(f"select distinct event_date from {name}".encode())  # noqa: S608
        for (day,) in days.fetchall():
            _require_partition(connection, day)
        added = connection.execute(
            f"insert into {_SCORES.name} select * from {name} on conflict do nothing".encode()  # noqa: S608
        ).rowcount
        if _DRIFT.name in names:
            _replace_drift(connection, names[_DRIFT.name])
        for table in names.values():
            connection.execute(f"drop table {table}".encode())
    return added


def _replace_drift(connection: psycopg.Connection, name: str) -> None:
    key = ", ".join(column for column in _DRIFT.key if column != "feature_name")
    connection.execute(
        f"delete from {_DRIFT.name} where ({key}) in (select {key} from {name})".encode()  # noqa: S608
    )
    connection.execute(f"insert into {_DRIFT.name} select * from {name}".encode())  # noqa: S608


def _require_partition(connection: psycopg.Connection, day: date) -> None:
    name = f"{partition_exchange.SCHEMA}.{to_postgres.partition_name(_SCORES, day)}"
    if connection.execute("select to_regclass(%s)", (name,)).fetchone() != (None,):
        return
    check = f"check ({to_postgres.partition_check(_SCORES, day)})"
    connection.execute(to_postgres.create_table(_SCORES, name, check).encode())
    # Attaching an existing table does not block readers, unlike `partition of`.
    bound = to_postgres.partition_bound(day)
    connection.execute(f"alter table {_SCORES.name} attach partition {name} {bound}".encode())
