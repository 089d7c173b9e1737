"""Lake → online store: the recent payments of a source, and the counts of its categories.

``python -m serving.fill``, which ``make serve`` runs, fills it for each source that the lake has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg.rows import dict_row

from contracts.features import LOOKBACK_DAYS
from contracts.render import to_arrow
from contracts.serving_tables import RECENT_PAYMENT
from contracts.settings import load_settings
from contracts.tables import TABLES, Table
from lake.catalog import open_catalog
from lake.read import read_dates
from ml.dataset import LABELS_TABLE, last_day, snapshot_of
from serving.additions import ADDED, STREAMED, fill_lock
from serving.redis_store import FILL_SECONDS, RedisStore, redis_store
from serving.store import COUNTS, RECENT
from sources.errors import SourceError
from sources.registry import names
from spark.transforms.features import frauds_of
from spark.transforms.features.category import counts_of
from spark.transforms.features.counterparty import fraud_micros
from warehouse import binary_copy
from warehouse.errors import says_what_is_away

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

KEPT_DAYS: Final = LOOKBACK_DAYS + 8
"""Days in the online store: the look-back of a payment that arrives a week after its day."""
_PAYMENTS: Final = "processed.transactions"
_ROWS: Final = 10_000
"""Added payments to read at once."""
FILLS: Final = TABLES["serving.fills"]
_STARTED: Final = (
    f"insert into {FILLS.name} ({', '.join(FILLS.column_names)})"  # noqa: S608 - our own names
    " values (%s, %s, %s, %s, %s, %s)"
)
_FINISHED: Final = (
    f"update {FILLS.name} set fill_finished_at = %s"  # noqa: S608 - our own names
    " where source_system = %s and fill_started_at = %s"
)
_FORGET: Final = f"delete from {STREAMED.name} where source_system = %s and event_date <= %s"  # noqa: S608
_LABEL: Final = ("source_system", "event_id", "is_fraud", "known_at")


@dataclass(frozen=True)
class Filled:
    """The payments of a source in the online store after a fill."""

    first_date: date
    last_date: date
    payments: int


@says_what_is_away
def fill(
    catalog: Catalog,
    dsn: str,
    source: str,
    snapshots: Mapping[str, int] | None = None,
    until: date | None = None,
    redis: RedisStore | None = None,
) -> Filled:
    """Replace the payments of a source in the online store by those of the lake, at once.

    The store then has the last `KEPT_DAYS` dates of the lake up to `until`, and the later payments
    that decisions and the stream added. For the dates that the lake has, a payment that is not in
    the lake leaves the store, as one that was withdrawn.

    Args:
        catalog: the lake, for reading.
        dsn: the warehouse, as the loader.
        source: the source system.
        snapshots: recorded snapshots; other tables are read as they are published now.
        until: the last date to read; None reads up to the newest.
        redis: the store to fill; None fills that in the warehouse.

    Raises:
        LookupError: when the lake has no payment of the source.
        OnlineStoreError: when Redis is away; the job can be retried.
        WarehouseLostError: when Postgres is away; the job can be retried.
    """
    payments_at = snapshot_of(catalog, _PAYMENTS, snapshots or {})
    labels_at = snapshot_of(catalog, LABELS_TABLE, snapshots or {})
    last = until or last_day(catalog, payments_at, source, _PAYMENTS)
    rows = read_lake(catalog, source, last, payments_at, labels_at)
    with psycopg.connect(dsn, autocommit=True) as connection:
        started_at = datetime.now(UTC)
        values = (source, started_at, None, last, payments_at, labels_at)
        connection.execute(_STARTED.encode(), values)
        filled = store_rows(dsn, source, last, *rows, redis)
        connection.execute(_FINISHED.encode(), (datetime.now(UTC), source, started_at))
    return filled


def read_lake(
    catalog: Catalog, source: str, last: date, payments_at: int, labels_at: int
) -> tuple[pa.Table, pa.Table]:
    """Return the payments of a source up to a date, and its counts, at two snapshots of the lake.

    Raises:
        SnapshotMissing: when a snapshot was expired.
    """
    dates = [last - timedelta(days) for days in range(KEPT_DAYS)]
    rows = read_dates(catalog, _PAYMENTS, payments_at, dates, source, RECENT_PAYMENT).read_all()
    labels = read_dates(catalog, LABELS_TABLE, labels_at, dates, source, _LABEL).read_all()
    return recent(rows, labels)


def recent(payments: pa.Table, labels: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the rows of serving.recent_payments and of serving.category_counts.

    `labels` are rows of processed.labels of these payments.
    """
    micros = fraud_micros(payments, frauds_of(labels))
    counts = counts_of(payments.append_column("fraud_micros", micros))
    known = micros.cast(to_arrow.schema(RECENT).field("fraud_known_at").type)
    columns = {
        "source_system": counts["source_system"],
        "merchant_category": counts["merchant_category"],
        "payment_day": counts["day"],
        "known_day": pc.fill_null(counts["known_day"], -1),
        "payment_count": counts["payments"],
    }
    return (
        payments.append_column("fraud_known_at", known).cast(to_arrow.schema(RECENT)),
        pa.table(columns).cast(to_arrow.schema(COUNTS)),
    )


def store_rows(
    dsn: str,
    source: str,
    last: date,
    payments: pa.Table,
    counts: pa.Table,
    redis: RedisStore | None = None,
) -> Filled:
    """Replace the payments of a source up to a date, and all its counts, at once.

    Redis gets the later payments from the decision log and from those of the stream. One fill of a
    source waits for another, and for a batch of the stream.
    """
    with psycopg.connect(dsn) as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (fill_lock(source),))
        if redis is None:
            _store_in_postgres(connection, source, last, payments, counts)
        else:
            redis.replace(source, payments, counts, lambda: _added(connection, source, last))
        oldest = last - timedelta(KEPT_DAYS)
        connection.execute(_FORGET.encode(), (source, oldest))
    days = pc.min_max(payments["event_date"]).as_py()
    return Filled(days["min"] or last, last, payments.num_rows)


def _added(connection: psycopg.Connection, source: str, last: date) -> Iterator[pa.Table]:
    """Yield the payments after a date that were added, as rows of the store."""
    query = (
        f"select {', '.join(RECENT.column_names)} from ({ADDED}) added"  # noqa: S608 - our own names
        " where source_system = %s and event_date > %s order by added_at"
    )
    with connection.cursor("added", row_factory=dict_row) as cursor:
        cursor.execute(query.encode(), (source, last))
        while rows := cursor.fetchmany(_ROWS):
            yield pa.Table.from_pylist(rows, to_arrow.schema(RECENT))


def _store_in_postgres(
    connection: psycopg.Connection, source: str, last: date, payments: pa.Table, counts: pa.Table
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"create temporary table incoming (like {RECENT.name}) on commit drop".encode()
        )
        _copy(cursor, "incoming", payments, RECENT)
        cursor.execute(
            f"delete from {RECENT.name} stored where source_system = %s and (event_date <= %s or"  # noqa: S608
            " exists (select from incoming where incoming.event_id = stored.event_id))".encode(),
            (source, last),
        )
        cursor.execute(f"insert into {RECENT.name} select * from incoming".encode())  # noqa: S608
        cursor.execute(f"delete from {COUNTS.name} where source_system = %s".encode(), (source,))  # noqa: S608
        _copy(cursor, COUNTS.name, counts, COUNTS)
        cursor.execute(f"analyze {RECENT.name}, {COUNTS.name}".encode())


def _copy(cursor: psycopg.Cursor, name: str, rows: pa.Table, table: Table) -> None:
    names = ", ".join(table.column_names)
    with cursor.copy(f"copy {name} ({names}) from stdin (format binary)".encode()) as copy:
        copy.write(binary_copy.HEADER)
        for batch in rows.combine_chunks().to_batches():
            for written in binary_copy.encoded(batch):
                copy.write(written)
        copy.write(binary_copy.TRAILER)


def main() -> int:
    """Fill the store for each source that the lake has; return the exit code."""
    from pyiceberg.exceptions import NoSuchTableError
    from sqlalchemy.exc import ProgrammingError

    settings = load_settings()
    catalog, dsn = open_catalog(settings), settings.warehouse.dsn("loader")
    redis = redis_store(settings.api, FILL_SECONDS)
    is_empty = True
    for source in names():
        try:
            done = fill(catalog, dsn, source, redis=redis)
        except (LookupError, NoSuchTableError, ProgrammingError):
            continue  # the lake has no payment of this source, no table, or no catalog yet
        except (ConnectionError, SourceError) as problem:
            sys.stderr.write(f"{problem}\n")
            return 1
        sys.stdout.write(
            f"online store  {source}: {done.payments:,} payments from {done.first_date} to"
            f" {done.last_date}\n"
        )
        is_empty = False
    if is_empty:
        sys.stdout.write(
            "online store  empty, because the lake has no payments yet. Run `make demo`, then `make"
            " serve` again.\n"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
