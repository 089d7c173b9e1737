"""Write the rows of a frame as data files of a lake table, and commit them together.

Spark's own writer takes value by value: 1.75 million rows of 31 columns cost it 10 CPU seconds,
Arrow's 1. So each task hands its rows to Arrow, which writes Parquet to the table's folder and
returns what each file holds; the driver commits the files to a branch in one snapshot. Until then
no reader sees them; those of a task that failed are orphans, which table maintenance removes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from pyiceberg.utils.datetime import date_to_days
from pyspark.sql import DataFrame, Row

from contracts.settings import load_settings
from contracts.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table as LakeTable
    from pyiceberg.table.update.snapshot import _SnapshotProducer

Batches = Iterator["pa.RecordBatch"]
_HELD_BYTES: Final = 96 * 2**20
"""Arrow memory that a task fills before it writes what it holds: bounds it, not the result."""
_DICTIONARY_BYTES: Final = 8192
"""A larger dictionary of nearly unique values is built and thrown away."""
_FOUND: Final = "path string, size long, footer binary"


@dataclass(frozen=True)
class _Target:
    """Where a task writes: `folder` is bucket and prefix, `schema` has the table's field ids."""

    table: str
    folder: str
    schema: "pa.Schema"
    partition: str | None


def write_files(
    df: DataFrame,
    declared: Table,
    catalog: "Catalog",
    through: Callable[[Batches], Batches] | None = None,
) -> "list[DataFile]":
    """Write the rows of `df` below the table's folder and return its files, not yet committed.

    `through` turns the batches of a task into those to write, with the columns of the table.
    """
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    table = catalog.load_table(declared.name)
    target = _Target(
        declared.name,
        f"{table.location().partition('://')[2]}/data",
        schema_to_pyarrow(table.schema()),
        declared.partition_by,
    )
    found = df.mapInArrow(partial(_written, target=target, through=through), _FOUND)
    return _data_files(table, found.collect())


def commit_files(
    table: "LakeTable",
    branch: str,
    files: "Sequence[DataFile]",
    properties: dict[str, str],
    renewed_dates: Iterable[date] = (),
) -> None:
    """Replace the partitions of `files` on a branch, in one snapshot; all of a table without.

    `properties` are kept with the snapshot. `renewed_dates` are replaced too, by nothing where no
    file is theirs.
    """
    head = table.metadata.snapshot_by_name(branch)
    renewed = None
    if table.spec().fields:
        renewed = {file.partition[0] for file in files}
        renewed |= {date_to_days(day) for day in renewed_dates}
    with (
        table.transaction() as transaction,
        transaction.update_snapshot(properties, branch=branch).overwrite() as snapshot,
    ):
        _look_apart(snapshot)
        for file in _held(table, head.snapshot_id if head else None):
            if renewed is None or file.partition[0] in renewed:
                snapshot.delete_data_file(file)
        for file in files:
            snapshot.append_data_file(file)


def _look_apart(snapshot: "_SnapshotProducer[Any]") -> None:
    """Have each manifest looked at by an evaluator of its own.

    pyiceberg 0.12 asks one evaluator from several threads at once, and the evaluator remembers the
    manifest that it was asked about: a file to be replaced is then missed now and then.
    """
    make = snapshot._build_manifest_evaluator
    snapshot._build_manifest_evaluator = (  # type: ignore[method-assign]
        lambda spec_id: lambda manifest: make(spec_id)(manifest)
    )


def _held(table: "LakeTable", snapshot_id: int | None) -> "Iterator[DataFile]":
    if snapshot_id is not None:
        for task in table.scan(snapshot_id=snapshot_id).plan_files():
            yield task.file


def _data_files(table: "LakeTable", rows: Sequence[Row]) -> "list[DataFile]":
    """Return files as Iceberg lists them, with the statistics of their footers."""
    import pyarrow.parquet as pq
    from pyiceberg.io.pyarrow import (
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat

    schema, spec = table.schema(), table.spec()
    plan = compute_statistics_plan(schema, table.properties)
    ids = parquet_path_to_id_mapping(schema)
    files = []
    for row in rows:
        footer = pq.read_metadata(BytesIO(row["footer"]))
        statistics = data_file_statistics_from_parquet_metadata(footer, plan, ids)
        file = DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=row["path"],
            file_format=FileFormat.PARQUET,
            partition=statistics.partition(spec, schema),
            file_size_in_bytes=row["size"],
            sort_order_id=None,
            spec_id=spec.spec_id,
            equality_ids=None,
            key_metadata=None,
            **statistics.to_serialized_dict(),
        )
        files.append(file)
    return files


def _written(
    batches: Batches, *, target: _Target, through: Callable[[Batches], Batches] | None
) -> Batches:
    """Write the batches of one task, and tell of each file; runs beside Spark's executor."""
    import pyarrow as pa

    store = task_store()
    held: list[pa.RecordBatch] = []
    found: list[dict[str, Any]] = []
    size = 0
    for batch in batches if through is None else through(batches):
        held.append(batch)
        size += batch.nbytes
        if size > _HELD_BYTES:
            found += _put(store, target, held)
            held, size = [], 0
            del batch  # it would be kept while `through` makes the next
            pa.default_memory_pool().release_unused()
    if held:
        found += _put(store, target, held)
        held = []
    # Spark keeps the process for the next task: what this one needed should not stay with it.
    pa.default_memory_pool().release_unused()
    schema = pa.schema({"path": pa.string(), "size": pa.int64(), "footer": pa.binary()})
    yield pa.RecordBatch.from_pylist(found, schema)


def task_store() -> Any:
    """Open the object store by the task's own settings, so that no key stands in a plan."""
    from lake.store import open_store, store_properties

    return open_store(store_properties(load_settings(), "processor"))


def _put(store: Any, target: _Target, held: "list[pa.RecordBatch]") -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    rows = pa.Table.from_batches(held)
    lacking = [name for name in target.schema.names if name not in rows.column_names]
    if lacking:
        raise ValueError(f"the rows for {target.table} lack {', '.join(lacking)}")
    for part, own in _parts(_declared(rows, target), target.partition):
        yield _one(store, f"{target.folder}{part}/{uuid4()}.parquet", own)


def _declared(rows: "pa.Table", target: _Target) -> "pa.Table":
    """Return the rows in the declared types; Arrow refuses what would change a value."""
    import pyarrow as pa

    columns = []
    for field in target.schema:
        column = rows[field.name]
        if not field.nullable and column.null_count:
            raise ValueError(
                f"{column.null_count} rows for {target.table} have no {field.name}, which may not"
                " be null"
            )
        columns.append(column.cast(field.type))
    return pa.Table.from_arrays(columns, schema=target.schema)


def _parts(rows: "pa.Table", partition: str | None) -> "Iterator[tuple[str, pa.Table]]":
    """Return the rows of each date, with the folder that they go to."""
    import numpy as np

    if not rows.num_rows:
        return
    if partition is None:
        yield "", rows
        return
    days = rows[partition].cast("int32").to_numpy()
    if (np.diff(days) < 0).any():
        order = np.argsort(days, kind="stable")
        rows, days = rows.take(order), days[order]
    cuts = [0, *(np.flatnonzero(np.diff(days)) + 1), len(days)]
    for start, end in pairwise(cuts):
        day = np.datetime64(int(days[start]), "D")
        yield f"/{partition}={day}", rows.slice(start, end - start)


def _one(store: Any, path: str, rows: "pa.Table") -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    collected: list[pq.FileMetaData] = []
    content = pa.BufferOutputStream()
    pq.write_table(
        rows,
        content,
        compression="zstd",
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        use_dictionary=[f.name for f in rows.schema if not pa.types.is_floating(f.type)],
        metadata_collector=collected,
    )
    buffer = content.getvalue()
    with store.open_output_stream(path) as stream:
        stream.write(buffer)
    footer = BytesIO()
    collected[0].write_metadata_file(footer)
    return {"path": f"s3://{path}", "size": buffer.size, "footer": footer.getvalue()}
