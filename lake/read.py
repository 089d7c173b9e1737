"""Reads of lake tables at a recorded snapshot, as Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

from contracts.render import to_arrow
from contracts.tables import TABLES
from lake.dates import rows_on

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import DataScan

_FILES_AHEAD = 8


class SnapshotMissing(LookupError):
    """Raised when a recorded snapshot no longer exists in the lake."""


class ValueTooWide(ValueError):
    """Raised when a column was widened in the lake and a value does not fit the declared type."""


def of_source(source: str) -> str:
    """Return the condition for the rows of a source system, for Iceberg and Postgres."""
    return f"source_system = '{source}'"


def read_dates(
    catalog: Catalog,
    table: str,
    snapshot_id: int | None,
    dates: Iterable[date] | None,
    source: str | None = None,
    columns: Sequence[str] | None = None,
) -> pa.RecordBatchReader:
    """Stream the rows of some dates of a lake table, cast to the contract's Arrow schema.

    `snapshot_id` None reads the current snapshot; `dates` None reads every date, `source` None
    every source system, `columns` None every column. A column that was added to the table after the
    snapshot is null.

    Raises:
        SnapshotMissing: when the snapshot was expired or never existed.
        ValueTooWide: while rows stream, at the first value that does not fit the contract.
    """
    import pyarrow as pa
    from pyiceberg.expressions import AlwaysTrue

    declared = TABLES[table]
    schema = to_arrow.schema(declared)
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    lake_table = catalog.load_table(table)
    if snapshot_id is not None and lake_table.snapshot_by_id(snapshot_id) is None:
        raise SnapshotMissing(f"{table} has no snapshot {snapshot_id}: run its stage again.")
    conditions = [] if source is None else [of_source(source)]
    if dates is not None:
        conditions.append(f"({rows_on(declared, dates)})")
    row_filter = " and ".join(conditions) or AlwaysTrue()
    scan = lake_table.scan(row_filter, snapshot_id=snapshot_id)
    stored = {field.name for field in scan.projection().fields}
    later = {name for name in schema.names if declared.is_nullable(name)} - stored
    scan = scan.select(*(name for name in schema.names if name not in later))

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in _streamed(scan, schema):
                if batch.num_rows:
                    for name in later - set(batch.schema.names):
                        nulls = pa.nulls(batch.num_rows, schema.field(name).type)
                        batch = batch.append_column(name, nulls)
                    yield batch.select(schema.names).cast(schema)
        except pa.ArrowInvalid as error:
            raise ValueTooWide(
                f"{table} has a value that does not fit its declared type ({error}); columns with"
                f" other types in the lake: {', '.join(_retyped(scan, schema)) or 'none'}. Nothing"
                " was changed: declare the wider type in contracts/, or correct the value."
            ) from error

    return pa.RecordBatchReader.from_batches(schema, batches())


def _retyped(scan: DataScan, schema: pa.Schema) -> list[str]:
    """Return the numbers and times whose type in the lake differs from `schema`."""
    import pyarrow as pa

    lake = scan.projection().as_arrow()
    return [
        f"{field.name} ({lake.field(field.name).type})"
        for field in schema
        if pa.types.is_primitive(field.type) and lake.field(field.name).type != field.type
    ]


def _streamed(scan: DataScan, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a scan, a few files at a time.

    Arrow reads files of which all rows are needed, because pyiceberg takes ten milliseconds of CPU
    for each file. It reads one row group at a time into the memory of the previous one, because
    allocating new memory costs as much as reading. pyiceberg's reader starts all files at once and
    buffers their rows: the whole table, if the consumer is slower.
    """
    import pyarrow.dataset as ds
    from pyiceberg.expressions import AlwaysTrue
    from pyiceberg.io.pyarrow import ArrowScan, PyArrowFileIO

    files = list(scan.plan_files())
    are_whole = not any(file.delete_files or file.residual != AlwaysTrue() for file in files)
    if files and are_whole and isinstance(scan.io, PyArrowFileIO):
        parsed = [PyArrowFileIO.parse_location(file.file.file_path) for file in files]
        scheme, bucket, _ = parsed[0]
        store = scan.io.fs_by_scheme(scheme, bucket)
        rows = ds.dataset([path for *_, path in parsed], schema, "parquet", filesystem=store)
        for file in rows.get_fragments():
            for group in file.split_by_row_group():
                yield from group.to_table(schema).to_batches()
        return
    reader = ArrowScan(scan.table_metadata, scan.io, scan.projection(), scan.row_filter)
    for start in range(0, len(files), _FILES_AHEAD):
        yield from reader.to_record_batches(files[start : start + _FILES_AHEAD])


def sequence_number(catalog: Catalog, table: str, snapshot_id: int) -> int:
    """Return the sequence number of a snapshot: later snapshots of a table have larger ones.

    Raises:
        SnapshotMissing: when the snapshot was expired or never existed.
    """
    snapshot = catalog.load_table(table).snapshot_by_id(snapshot_id)
    if snapshot is None:
        raise SnapshotMissing(f"{table} has no snapshot {snapshot_id}: run its stage again.")
    return snapshot.sequence_number or 0
