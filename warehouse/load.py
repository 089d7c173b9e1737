"""Lake → STAGING: copy a snapshot into shadow tables, which are attached after the gate passed."""

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

_BY_BYTES: Final = ' collate "C"'
"""Compares texts as the lake does."""
_LOCK_TIMEOUT: Final = "500ms"
"""Below Postgres's `deadlock_timeout`, 1 s: in a deadlock the swap is cancelled, not the reader."""
_PATIENCE: Final = timedelta(minutes=1)
_AHEAD: Final = 3
"""Number of batches that are read or encoded in advance, while the server writes a batch."""
_T = TypeVar("_T")


@says_what_is_away
def stage(
    catalog: Catalog, dsn: str, processed: ProcessResult, prepared: PrepareResult, run_id: str
) -> LoadResult:
    """Copy the recorded snapshots into shadow tables of STAGING and reconcile them.

    Everything happens in one transaction, so a killed load leaves nothing. A difference from the
    lake does not raise here, so that the gate can record it; `swap` refuses it.

    Raises:
        LoadError: when a snapshot is not recorded.
        lake.SnapshotMissing: when a snapshot has expired in the lake.
    """
    run, staged_at = partition_exchange.token(run_id), datetime.now(UTC).isoformat()
    copies = load_plan.of(processed, prepared)
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(f"select {_alone(run)}".encode())
        cursor.execute(partition_exchange.DROP_ABANDONED.encode())
        tables = _copy_all(catalog, cursor, copies, run, staged_at)
    return load_plan.result(processed, prepared, run_id, tables)


def _alone(run: str) -> str:
    """Return the call that waits for another attempt of the run, which writes the same tables."""
    return f"pg_advisory_xact_lock(hashtext('tollgate load {run}'))"


def _copy_all(
    catalog: Catalog,
    cursor: psycopg.Cursor,
    copies: Sequence[load_plan.Copy],
    run: str,
    staged_at: str,
) -> dict[str, load_plan.Copied]:
    """Copy the tables in the transaction of the caller and return the copies by table."""

    def fetch(query: str) -> list[tuple[Any, ...]]:
        return cursor.execute(query.encode()).fetchall()

    copied = {}
    for copy in copies:
        name = partition_exchange.shadow_name(copy.table, run)
        sequence = lake.sequence_number(catalog, copy.source, copy.snapshot)
        origin = partition_exchange.Origin(run, copy.snapshot, sequence, staged_at)
        cursor.execute(
            "; ".join(partition_exchange.create(copy.table, run, copy.dates, origin)).encode()
        )
        tally = reconcile.Tally(copy.table)
        if copy.dates:
            names = copy.table.column_names
            rows = lake.read_dates(catalog, copy.source, copy.snapshot, copy.dates, columns=names)
            fill(cursor, copy.table, run, tally.watch(rows))
        cursor.execute("; ".join(partition_exchange.seal(copy.table, run, copy.dates)).encode())
        ours, theirs = tally.measures(), reconcile.stored(copy.table, name, fetch)
        copied[copy.table.name] = load_plan.Copied(copy, name, sequence, ours, theirs)
    return copied


def fill(cursor: psycopg.Cursor, table: Table, run: str, rows: pa.RecordBatchReader) -> None:
    """Copy rows into the shadow table of a table, which this transaction created.

    The lake is read by file, and a file has the rows of one day. These rows are copied directly
    into the partition of the day, because routing rows to partitions would double the cost.
    """
    names = ", ".join(rows.schema.names)
    for day, batches in groupby(_ahead(_encoded(rows, table.partition_by)), key=itemgetter(0)):
        name = partition_exchange.shadow_name(table, run)
        how = "format binary"
        if day is not None:
            name = partition_exchange.shadow_partition(table, day, run)
            # Without `freeze`, the first reader would rewrite each page to mark the rows committed.
            how += ", freeze"
        with cursor.copy(f"copy {name} ({names}) from stdin ({how})".encode()) as copy:
            copy.write(binary_copy.HEADER)
            for _, written in batches:
                copy.write(written)
            copy.write(binary_copy.TRAILER)


def _encoded(
    rows: pa.RecordBatchReader, column: str | None
) -> Iterator[tuple[date | None, memoryview]]:
    """Yield encoded rows, each time with the day that all of them have, or None.

    The next rows are read while the current ones are written.
    """
    for batch in _ahead(iter(rows)):
        day = _only_day(batch, column)
        for written in binary_copy.encoded(batch):
            yield day, written


def _ahead(items: Iterator[_T]) -> Iterator[_T]:
    """Yield the same items, read a few items ahead in a separate thread."""
    with ThreadPoolExecutor(1) as reader:
        pending = deque(reader.submit(next, items, None) for _ in range(_AHEAD))
        try:
            while (item := pending.popleft().result()) is not None:
                pending.append(reader.submit(next, items, None))
                yield item
        finally:
            reader.shutdown(cancel_futures=True)


def _only_day(batch: pa.RecordBatch, column: str | None) -> date | None:
    """Return the day that all rows of a batch have; None when there is no such day."""
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

    Tables without dates are merged by key. A day that was loaded from a later snapshot meanwhile
    does not change. The swap waits while dbt runs, because all models must read the same STAGING.
    When a reader locks a table for longer than the lock timeout, the swap is repeated for up to a
    minute.

    Raises:
        psycopg.errors.LockNotAvailable: when readers locked a table for the whole minute.
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
        # Only parents are locked: readers open them first, and there is a partition for each day.
        parents = ", ".join(f"only {name}" for name in names)
        connection.execute(f"lock table {parents} in access exclusive mode".encode())
        script: list[str] = []
        for name in names:
            script += _attachments(connection, TABLES[name], staged)
        if staged.withdrawn:
            dates = staged.tables["staging.transactions"].dates
            for name in load_plan.PARTIES:
                script += merge_by_key.derive(TABLES[name], dates, collation=_BY_BYTES)
        if script:
            connection.execute("; ".join(script).encode())
    return staged


def _attachments(connection: psycopg.Connection, table: Table, staged: LoadResult) -> list[str]:
    """Return the statements that attach the staged partitions of a table, or merge its rows."""
    run = partition_exchange.token(staged.run_id)
    shadow = partition_exchange.shadow_name(table, run)
    is_staged = connection.execute("select to_regclass(%s)", (shadow,)).fetchone() != (None,)
    if table.partition_by is None:
        # The days of the other tables show whether the run was staged.
        merge = merge_by_key.merge(table, shadow, collation=_BY_BYTES)
        return [*merge, f"drop table {shadow}", f"analyze {table.name}"] if is_staged else []
    origins = _origins(connection, table.name)
    days, sequence = staged.tables[table.name].dates, staged.tables[table.name].sequence
    if not is_staged:
        for day in days:
            origin = origins.get(to_postgres.partition_name(table, day))
            if origin is None or origin.sequence < sequence:
                raise LoadError(f"{table.name} was not staged by run {staged.run_id}: stage it.")
        return []
    statements: list[str] = []
    for day in days:
        target = to_postgres.partition_name(table, day)
        source = partition_exchange.shadow_partition(table, day, run)
        current = origins.get(target)
        if current and current.sequence > sequence:
            continue
        statements.append(f"alter table {shadow} detach partition {source}")
        if target in origins:
            statements.append(
                f"alter table {table.name} detach partition {partition_exchange.SCHEMA}.{target};"
                f" drop table {partition_exchange.SCHEMA}.{target}"
            )
        statements.append(
            f"alter table {source} rename to {target};"
            f" alter table {table.name} attach partition {partition_exchange.SCHEMA}.{target}"
            f" {to_postgres.partition_bound(day)}"
        )
    statements.append(f"drop table {shadow}")
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
    """Drop the shadow tables after a gate closed; attached partitions remain."""
    with psycopg.connect(dsn) as connection:
        for name in staged.beside.values():
            connection.execute(f"drop table if exists {name}".encode())
