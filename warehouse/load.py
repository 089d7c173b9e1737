"""Lake → STAGING: copy a snapshot beside, let a gate judge it, attach it all at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from contracts.render import to_postgres
from contracts.stage_results import LoadResult, PrepareResult, ProcessResult, ScoreResult
from contracts.tables import TABLES, Table
from lake import read as lake
from warehouse import (
    binary_copy,
    dbt_runner,
    load_plan,
    merge_by_key,
    partition_exchange,
    reconcile,
)
from warehouse.errors import says_what_is_away
from warehouse.load_plan import LoadError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog

_LOCK_TIMEOUT: Final = "500ms"
"""Below Postgres's `deadlock_timeout`, 1 s: in a deadlock the swap gives way, not the reader."""
_PATIENCE: Final = timedelta(minutes=1)
_AHEAD: Final = 3
"""Batches that are read and written in advance, while the server takes the one before them."""
_T = TypeVar("_T")


@says_what_is_away
def stage(
    catalog: Catalog, dsn: str, processed: ProcessResult, prepared: PrepareResult, run_id: str
) -> LoadResult:
    """Copy the recorded snapshots into fresh tables beside STAGING and reconcile them.

    Everything happens in one transaction: killed anywhere, it leaves nothing. A difference to the
    lake does not raise here, so that the gate can judge and record it; `swap` refuses it.

    Raises:
        LoadError: when a snapshot is not recorded.
        lake.SnapshotMissing: when the lake no longer holds one.
    """
    run, staged_at = partition_exchange.token(run_id), datetime.now(UTC).isoformat()
    asked = load_plan.of(processed, prepared)
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(f"select {_alone(run)}".encode())
        cursor.execute(partition_exchange.DROP_ABANDONED.encode())
        tables = _copy_all(catalog, cursor, asked, run, staged_at)
    return load_plan.result(processed, prepared, run_id, tables)


def _alone(run: str) -> str:
    """Return the call that waits for another attempt of a run, which has the same tables."""
    return f"pg_advisory_xact_lock(hashtext('tollgate load {run}'))"


def _copy_all(
    catalog: Catalog,
    cursor: psycopg.Cursor,
    asked: Sequence[load_plan.Copy],
    run: str,
    staged_at: str,
) -> dict[str, load_plan.Copied]:
    """Copy tables one after the other in the transaction of the caller."""

    def fetch(query: str) -> list[tuple[Any, ...]]:
        return cursor.execute(query.encode()).fetchall()

    found = {}
    for copy in asked:
        name = partition_exchange.beside_name(copy.table, run)
        sequence = lake.sequence_number(catalog, copy.source, copy.snapshot)
        origin = partition_exchange.Origin(run, copy.snapshot, sequence, staged_at)
        cursor.execute(
            "; ".join(partition_exchange.create(copy.table, run, copy.dates, origin)).encode()
        )
        tally = reconcile.Tally(copy.table)
        if copy.dates:
            rows = lake.read_dates(catalog, copy.source, copy.snapshot, copy.dates)
            fill(cursor, copy.table, run, tally.watch(rows))
        cursor.execute("; ".join(partition_exchange.seal(copy.table, run, copy.dates)).encode())
        ours, theirs = tally.measures(), reconcile.stored(copy.table, name, fetch)
        found[copy.table.name] = load_plan.Copied(copy, name, sequence, ours, theirs)
    return found


def fill(cursor: psycopg.Cursor, table: Table, run: str, rows: pa.RecordBatchReader) -> None:
    """Copy rows into the twin of a table, made in this transaction.

    The lake gives a file at a time, and a file holds a day: such rows go straight into the day's
    partition, since to find the partition of each row costs the server as much again.
    """
    names = ", ".join(rows.schema.names)
    for day, batches in groupby(_ahead(_encoded(rows, table.partition_by)), key=itemgetter(0)):
        name = partition_exchange.beside_name(table, run)
        how = "format binary"
        if day is not None:
            name = partition_exchange.partition_beside(table, day, run)
            # Nobody can see the rows before the transaction ends; without it the first to read them
            # writes every page again, to note that it has ended.
            how += ", freeze"
        with cursor.copy(f"copy {name} ({names}) from stdin ({how})".encode()) as copy:
            copy.write(binary_copy.HEADER)
            for _, written in batches:
                copy.write(written)
            copy.write(binary_copy.TRAILER)


def _encoded(
    rows: pa.RecordBatchReader, column: str | None
) -> Iterator[tuple[date | None, memoryview]]:
    """Yield the rows as the server takes them, each time with the day that all of them have.

    The next rows are read while these are written.
    """
    for batch in _ahead(iter(rows)):
        day = _only_day(batch, column)
        for written in binary_copy.encoded(batch):
            yield day, written


def _ahead(items: Iterator[_T]) -> Iterator[_T]:
    """Yield the same items, taken in a thread of their own a few items ahead."""
    with ThreadPoolExecutor(1) as reader:
        taken = deque(reader.submit(next, items, None) for _ in range(_AHEAD))
        try:
            while (item := taken.popleft().result()) is not None:
                taken.append(reader.submit(next, items, None))
                yield item
        finally:
            reader.shutdown(cancel_futures=True)


def _only_day(batch: pa.RecordBatch, column: str | None) -> date | None:
    """Return the day that all rows of a batch have, None when they have several or none."""
    import pyarrow.compute as pc

    if column is None:
        return None
    days = pc.min_max(batch.column(column)).as_py()
    first: date | None = days["min"]
    return first if first == days["max"] else None


@says_what_is_away
@retry(
    retry=retry_if_exception_type(
        (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
    ),
    stop=stop_after_delay(_PATIENCE),
    wait=wait_random_exponential(multiplier=0.2, max=3),
    reraise=True,
)
def swap(dsn: str, staged: LoadResult) -> LoadResult:
    """Attach every staged day in one transaction; running it again changes nothing.

    Tables without dates are merged by key. A day that a later snapshot has filled meanwhile is left
    alone. The swap waits while dbt runs, whose models all have to read the same STAGING. A reader
    that holds a table longer than the lock timeout makes the swap step back and try
    again, for a minute.

    Raises:
        psycopg.errors.LockNotAvailable: when readers held a table all that time.
        ConservationError: when the balances do not hold.
        LoadError: when a table differs from the lake, or was never staged.
    """
    load_plan.require_agreement(staged)
    names = sorted(staged.tables)
    with psycopg.connect(dsn) as connection:
        connection.execute(f"select {_alone(partition_exchange.token(staged.run_id))}".encode())
        for name in names:
            connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (name,))
        connection.execute(f"select pg_advisory_xact_lock({dbt_runner.LOCK})".encode())
        connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'".encode())
        # The parents alone: readers pass through them, and a lock a day would cost with history.
        parents = ", ".join(f"only {name}" for name in names)
        connection.execute(f"lock table {parents} in access exclusive mode".encode())
        script: list[str] = []
        for name in names:
            script += _attachments(connection, TABLES[name], staged)
        if script:
            connection.execute("; ".join(script).encode())
    return staged


def _attachments(connection: psycopg.Connection, table: Table, staged: LoadResult) -> list[str]:
    """Return the statements that attach the staged partitions of a table, or merge its rows."""
    run = partition_exchange.token(staged.run_id)
    twin = partition_exchange.beside_name(table, run)
    is_staged = connection.execute("select to_regclass(%s)", (twin,)).fetchone() != (None,)
    if table.partition_by is None:
        # The days of the other tables show whether the run was staged.
        merge = merge_by_key.merge(table, twin, collation=' collate "C"')
        return [*merge, f"drop table {twin}", f"analyze {table.name}"] if is_staged else []
    held = _origins(connection, table.name)
    days, sequence = staged.tables[table.name].dates, staged.tables[table.name].sequence
    if not is_staged:
        for day in days:
            origin = held.get(to_postgres.partition_name(table, day))
            if origin is None or origin.sequence < sequence:
                raise LoadError(f"{table.name} was not staged by run {staged.run_id}: stage it.")
        return []
    statements: list[str] = []
    for day in days:
        target = to_postgres.partition_name(table, day)
        source = partition_exchange.partition_beside(table, day, run)
        current = held.get(target)
        if current and current.sequence > sequence:
            continue
        statements.append(f"alter table {twin} detach partition {source}")
        if target in held:
            statements.append(
                f"alter table {table.name} detach partition {partition_exchange.SCHEMA}.{target};"
                f" drop table {partition_exchange.SCHEMA}.{target}"
            )
        statements.append(
            f"alter table {source} rename to {target};"
            f" alter table {table.name} attach partition {partition_exchange.SCHEMA}.{target}"
            f" {to_postgres.partition_bound(day)}"
        )
    statements.append(f"drop table {twin}")
    return statements


def _origins(
    connection: psycopg.Connection, parent: str
) -> dict[str, partition_exchange.Origin | None]:
    rows: Iterable[tuple[str, str | None]] = connection.execute(
        "select c.relname, obj_description(c.oid, 'pg_class') from pg_inherits i"
        " join pg_class c on c.oid = i.inhrelid where i.inhparent = %s::regclass",
        (parent,),
    ).fetchall()
    return {name: partition_exchange.Origin.parse(comment) for name, comment in rows}


def discard(dsn: str, staged: LoadResult | ScoreResult) -> None:
    """Drop what was staged, after a gate closed; what was attached already stays."""
    with psycopg.connect(dsn) as connection:
        for name in staged.beside.values():
            connection.execute(f"drop table if exists {name}".encode())
