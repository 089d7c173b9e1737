"""Lake → STAGING on Snowflake: copy a snapshot into shadow tables, then insert it at once.

The functions of `warehouse.load` and `warehouse.scores`, with settings in place of a libpq URI.
An advisory lock in Postgres serialises swaps, because Snowflake does not lock rows that a
concurrent transaction is about to write.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from contracts.render import to_arrow
from contracts.settings import Settings
from contracts.stage_results import LoadResult, PrepareResult, ProcessResult, ScoreResult
from contracts.tables import TABLES, Table
from lake import read as lake
from lake.dates import rows_on
from warehouse import load_plan, merge_by_key, partition_exchange, reconcile
from warehouse.errors import says_what_is_away
from warehouse.load_plan import LoadError
from warehouse.snowflake.files import fill
from warehouse.snowflake.migrate import ORIGINS
from warehouse.snowflake.session import Session, alone, connect

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog

_SCORES: Final = TABLES["staging.scores"]
_DRIFT: Final = TABLES["staging.feature_drift"]
LOADED: Final = (*(TABLES[name] for name in load_plan.SOURCES), _SCORES, _DRIFT)
"""Tables of STAGING that this module writes; `records` copies the tables that runs record."""

_S = TypeVar("_S", LoadResult, ScoreResult)


@says_what_is_away
def stage(
    catalog: Catalog,
    settings: Settings,
    processed: ProcessResult,
    prepared: PrepareResult,
    run_id: str,
) -> LoadResult:
    """Copy the recorded snapshots into shadow tables of STAGING and reconcile them.

    Raises:
        LoadError: when a snapshot is not recorded, or has a duplicate key.
        lake.SnapshotMissing: when a snapshot has expired in the lake.
    """
    run = partition_exchange.token(run_id)
    with alone(settings), connect(settings, "loader") as session:
        _drop_abandoned(session)
        tables = {
            copy.table.name: _copied(catalog, session, copy, run)
            for copy in load_plan.of(processed, prepared)
        }
    return load_plan.result(processed, prepared, run_id, tables)


def _copied(catalog: Catalog, session: Session, copy: load_plan.Copy, run: str) -> load_plan.Copied:
    name = partition_exchange.shadow_name(copy.table, run)
    sequence = lake.sequence_number(catalog, copy.source, copy.snapshot)
    tally = reconcile.Tally(copy.table)
    names = copy.table.column_names
    rows = lake.read_dates(catalog, copy.source, copy.snapshot, copy.dates, columns=names)
    fill(session, copy.table, name, tally.watch(rows))
    _require_unique(session, copy.table, name)
    theirs = reconcile.stored(copy.table, name, session.rows)
    return load_plan.Copied(copy, name, sequence, tally.measures(), theirs)


def _require_unique(session: Session, table: Table, name: str) -> None:
    """Refuse a duplicate key, because Snowflake does not enforce keys."""
    key = ", ".join(table.key)
    twice = session.rows(
        f"select {key} from {name} group by {key} having count(*) > 1 limit 1"  # noqa: S608
    )
    if twice:
        raise LoadError(
            f"{table.name} has a key twice in the lake: {key} {twice[0]}; nothing was inserted."
        )


def swap(settings: Settings, staged: LoadResult) -> LoadResult:
    """Insert every staged day in one transaction; running it again changes nothing.

    Tables without dates are merged by key. A day that was loaded from a later snapshot meanwhile
    does not change.

    Raises:
        ConservationError: when the balances do not hold.
        LoadError: when a table differs from the lake, or was never staged.
    """
    load_plan.require_agreement(staged)
    run = partition_exchange.token(staged.run_id)
    tables = [TABLES[name] for name in sorted(staged.tables)]
    with alone(settings), connect(settings, "loader") as session:
        with session.transaction():
            for table in tables:
                _take(session, table, run, staged)
            if staged.withdrawn:
                dates = staged.tables["staging.transactions"].dates
                for name in load_plan.PARTIES:
                    for statement in merge_by_key.derive(TABLES[name], dates):
                        session.run(statement)
        for table in tables:
            session.run(f"drop table if exists {partition_exchange.shadow_name(table, run)}")
    return staged


def _take(session: Session, table: Table, run: str, staged: LoadResult) -> None:
    """Replace the days of a table by the staged ones, except days of a later snapshot."""
    shadow = partition_exchange.shadow_name(table, run)
    sequence = staged.tables[table.name].sequence
    snapshot = staged.snapshots[load_plan.SOURCES[table.name]]
    sequences = dict(
        session.rows(f"select day, sequence from {ORIGINS} where table_name = '{table.name}'")  # noqa: S608
    )
    days = staged.tables[table.name].dates
    if table.partition_by is None:
        if session.exists(shadow):
            for statement in merge_by_key.merge(table, shadow):
                session.run(statement)
        return
    if not session.exists(shadow):
        if any(sequences.get(str(day), -1) < sequence for day in days):
            raise LoadError(f"{table.name} was not staged by run {staged.run_id}: stage it.")
        return
    due = [day for day in days if sequences.get(str(day), -1) <= sequence]
    if not due:
        return
    which = rows_on(table, due)
    names = ", ".join(f"'{day}'" for day in due)
    origins = ", ".join(
        f"('{table.name}', '{day}', '{run}', {snapshot}, {sequence}, current_timestamp())"
        for day in due
    )
    session.run(f"delete from {table.name} where {which}")  # noqa: S608 - our own names, as below
    session.run(f"{_into(table)} from {shadow} where {which}")
    session.run(f"delete from {ORIGINS} where table_name = '{table.name}' and day in ({names})")  # noqa: S608
    session.run(f"insert into {ORIGINS} values {origins}")  # noqa: S608


@says_what_is_away
def stage_scores(
    settings: Settings, scored: _S, scores: pa.Table, drift: pa.Table | None = None
) -> _S:
    """Copy scores and drift into shadow tables; return the result with their names."""
    given = {_SCORES: scores} if drift is None else {_SCORES: scores, _DRIFT: drift}
    run = partition_exchange.token(scored.run_id)
    names = {table.name: partition_exchange.shadow_name(table, run) for table in given}
    with connect(settings, "loader") as session:
        _drop_abandoned(session)
        for table, rows in given.items():
            columns = rows.select(list(table.column_names)).cast(to_arrow.schema(table))
            fill(session, table, names[table.name], columns.to_reader())
    return replace(scored, beside=names)


def swap_scores(settings: Settings, staged: LoadResult | ScoreResult) -> int:
    """Insert the staged scores and return the number of new ones.

    A score of a payment and a model version is never replaced; drift is replaced.
    """
    names = staged.beside
    scores, drift = names[_SCORES.name], names.get(_DRIFT.name)
    with alone(settings), connect(settings, "loader") as session:
        if not session.exists(scores):
            return 0
        with session.transaction():
            if drift:
                key = ", ".join(column for column in _DRIFT.key if column != "feature_name")
                session.run(
                    f"delete from {_DRIFT.name} where ({key}) in (select {key} from {drift})"  # noqa: S608
                )
                session.run(f"{_into(_DRIFT)} from {drift}")
            same = " and ".join(f"stored.{column} = fresh.{column}" for column in _SCORES.key)
            existing = f"select 1 from {_SCORES.name} as stored where {same}"  # noqa: S608
            added = session.run(
                f"{_into(_SCORES)} from {scores} as fresh where not exists ({existing})"
            )
        # Scores come last: while their shadow table exists, a killed run is repeated.
        for name in reversed(names.values()):
            session.run(f"drop table if exists {name}")
    return added


def _into(table: Table) -> str:
    columns = ", ".join(table.column_names)
    return f"insert into {table.name} ({columns}) select {columns}"


def _drop_abandoned(session: Session) -> None:
    """Drop the shadow tables of runs that died before the swap and were not repeated."""
    left = session.rows(
        "select table_name from information_schema.tables where table_schema = 'STAGING'"
        " and length(split_part(table_name, '__', 2)) = 8"
        " and created < dateadd(day, -1, current_timestamp())"
    )
    for (name,) in left:
        session.run(f"drop table if exists staging.{name}")
