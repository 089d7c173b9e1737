"""Scores → STAGING: staged beside for the gate, then added to those already issued."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import psycopg

from contracts.render import to_arrow, to_postgres
from contracts.results import StageResult
from contracts.tables import TABLES
from warehouse import beside
from warehouse.errors import says_what_is_away

if TYPE_CHECKING:
    import pyarrow as pa

_SCORES: Final = TABLES["staging.scores"]


@says_what_is_away
def stage_scores(dsn: str, scored: StageResult, scores: pa.Table) -> StageResult:
    """Copy scores into a fresh table beside STAGING and say which in the result's details."""
    import adbc_driver_postgresql.dbapi as adbc

    run = beside.token(scored.run_id)
    name = beside.beside_name(_SCORES, run)
    columns = scores.select(list(_SCORES.column_names)).cast(to_arrow.schema(_SCORES))
    with adbc.connect(dsn) as connection, connection.cursor() as cursor:
        # Plain, not a partition a day: its rows are added to those of a day, not attached.
        create = f"create table {name} ({to_postgres.columns(_SCORES)})"
        origin = beside.Origin(run, 0, 0, datetime.now(UTC).isoformat())
        comment = f"comment on table {name} is '{origin.comment()}'"
        cursor.execute(beside.DROP_ABANDONED)
        cursor.execute(beside.together([f"drop table if exists {name}", create, comment]))
        schema, _, short = name.partition(".")
        cursor.adbc_ingest(short, columns.to_reader(), mode="append", db_schema_name=schema)
        key = f"alter table {name} add primary key ({', '.join(_SCORES.key)})"
        cursor.execute(beside.together([key, f"analyze {name}"]))
        connection.commit()
    return replace(scored, details={**scored.details, "beside": {_SCORES.name: name}})


@says_what_is_away
def swap_scores(dsn: str, staged: StageResult) -> int:
    """Add the staged scores and return how many were new.

    A score issued for a payment and a model version is never replaced, so a second run of the same
    window adds nothing, and what a decision was based on stays readable.
    """
    name = staged.details["beside"][_SCORES.name]
    with psycopg.connect(dsn) as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (_SCORES.name,))
        if connection.execute("select to_regclass(%s)", (name,)).fetchone() == (None,):
            return 0
        days = connection.execute(f"select distinct event_date from {name}".encode())  # noqa: S608
        for (day,) in days.fetchall():
            _require_partition(connection, day)
        added = connection.execute(
            f"insert into {_SCORES.name} select * from {name} on conflict do nothing".encode()  # noqa: S608
        ).rowcount
        connection.execute(f"drop table {name}".encode())
    return added


def _require_partition(connection: psycopg.Connection, day: date) -> None:
    name = f"{beside.SCHEMA}.{to_postgres.partition_name(_SCORES, day)}"
    if connection.execute("select to_regclass(%s)", (name,)).fetchone() != (None,):
        return
    check = f"check ({to_postgres.partition_check(_SCORES, day)})"
    connection.execute(to_postgres.create_table(_SCORES, name, check).encode())
    # Attaching a table made apart locks readers out of nothing, unlike `partition of`.
    bound = to_postgres.partition_bound(day)
    connection.execute(f"alter table {_SCORES.name} attach partition {name} {bound}".encode())
