"""Division of the features of a window among tasks.

Features are divided by dates if a task has memory for its dates and the look-back before them.
Each task reads the files of its dates. No row moves between tasks, but two tasks read a look-back.
Otherwise they are divided by keys: rows move to the task of their customer and then to the task of
their counterparty.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import chain
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from contracts.features import LOOKBACK_DAYS
from contracts.render import to_arrow
from contracts.render.to_iceberg import qualified
from contracts.settings import load_settings
from contracts.tables import TABLES
from lake.dates import date_ranges
from lake.frames import read, within
from spark.transforms.features import OUT, Filled, computed, frauds_of, inputs, known_frauds, schema
from spark.transforms.features.by_keys import by_counterparty, by_customer, category_counts

if TYPE_CHECKING:
    import pyarrow as pa

Batches = Iterator["pa.RecordBatch"]
_WORTH_A_PART: Final = 500_000
"""Rows that one task computes in about a second."""
_PARTS_A_TASK: Final = 2
"""A task computes its parts one after the other, which takes less memory."""
_MOST_ROWS: Final = 6_000_000
"""Rows in the memory of one task: about 0.6 GB for each million."""
_ROWS_BY_KEY: Final = 1_000_000
_READ_BACK: Final = LOOKBACK_DAYS + 1
"""Dates before a payment's that are read: a day of a zone may have 25 hours, or begin in UTC's
day before."""
_LABELS: Final = ("source_system", "event_id", "is_fraud", "known_at")
_REPEATED: Final = {
    "source_system",
    "event_at_precision",
    "customer_id",
    "counterparty_id",
    "counterparty_type",
    "currency",
    "merchant_category",
    "country",
    "device_id",
}
"""Texts that occur in many rows of a day."""


@dataclass(frozen=True)
class TableAt:
    """A table of the lake at a snapshot."""

    table: str
    snapshot_id: int


def feature_rows(
    spark: SparkSession,
    read_from: tuple[TableAt, TableAt],
    filled: Filled,
    days: Mapping[date, int],
    most_rows: int = _MOST_ROWS,
) -> DataFrame:
    """Return the features of `days` (rows of each), computed by tasks from all payments.

    `read_from` are the payments and their labels. If a task by dates would have more than
    `most_rows` rows, the features are divided by keys.
    """
    transactions, labels = read_from
    total = sum(days.values())
    look_back = ceil(total / max(len(days), 1) * LOOKBACK_DAYS)
    count = max(ceil(total / _WORTH_A_PART), 1)
    if count > 1:
        count = min(count, _PARTS_A_TASK * _at_once(spark))
    if total / count + look_back <= most_rows:
        parts = _parts(spark, cut(days, count), read_from)
        if parts is not None:
            step = partial(_from_files, filled=filled)
            return _as_rows(spark, parts).mapInArrow(step, schema(OUT))
    needed = within("event_date", date_ranges(days, before=_READ_BACK))
    payments = read(spark, transactions.table, transactions.snapshot_id).filter(needed)
    rows = payments.select(
        *inputs(filled), within("event_date", date_ranges(days)).alias("is_wanted")
    )
    frauds = known_frauds(read(spark, labels.table, labels.snapshot_id).filter(needed))
    counts = category_counts(payments, frauds, filled)
    count = ceil((total + look_back) / min(_ROWS_BY_KEY, most_rows))
    step = partial(by_counterparty, filled=filled, counts=counts)
    return by_customer(rows, frauds, filled, count).mapInArrow(step, schema(OUT))


def cut(days: Mapping[date, int], count: int) -> list[list[date]]:
    """Divide dates into at most `count` runs, and minimise the rows that the largest run reads.

    A run also reads the look-back before its first date, as far as it is in `days`.

    >>> [len(part) for part in cut({date(2024, 5, 1) + timedelta(n): 10 for n in range(120)}, 2)]
    [79, 41]
    """
    low, high = max(days.values(), default=0), sum(days.values())
    while low < high:
        most = (low + high) // 2
        if len(_runs(days, most)) <= count:
            high = most
        else:
            low = most + 1
    return _runs(days, high)


def _runs(days: Mapping[date, int], most: int) -> list[list[date]]:
    """Divide dates into runs that read at most `most` rows, or a single date with more."""
    runs: list[list[date]] = []
    rows = most + 1
    for day in sorted(days):
        if rows + days[day] > most:
            first = day - timedelta(LOOKBACK_DAYS)
            rows = sum(count for other, count in days.items() if first <= other < day)
            runs.append([])
        runs[-1].append(day)
        rows += days[day]
    return runs


def _at_once(spark: SparkSession) -> int:
    """Return the number of parallel tasks: the partitions into which Spark divides a range."""
    numbers = spark.range(1024).select(F.spark_partition_id().alias("task"))
    return int(numbers.distinct().count())


def _as_rows(spark: SparkSession, parts: Sequence[dict[str, Any]]) -> DataFrame:
    """Return a frame with a part in each row, as JSON."""
    # Spark divides local rows among its parallel tasks.
    return spark.createDataFrame([(json.dumps(part),) for part in parts], "part string")


def _parts(
    spark: SparkSession, runs: Sequence[Sequence[date]], read_from: tuple[TableAt, TableAt]
) -> list[dict[str, Any]] | None:
    """Return the dates of each run, and the files of these dates and of their look-back.

    Returns None if a table has delete files, which Spark reads and Arrow does not.
    """
    query = " UNION ALL ".join(
        f"SELECT '{one.table}' AS table, content, partition.event_date AS event_date, file_path"  # noqa: S608 - our own names
        f" FROM {qualified(one.table)}.files VERSION AS OF {one.snapshot_id}"
        for one in read_from
    )
    wanted = within("event_date", date_ranges(chain(*runs), before=_READ_BACK))
    files = spark.sql(query).filter(wanted).collect()
    if any(file["content"] for file in files):
        return None
    parts = []
    for run in runs:
        part: dict[str, Any] = {"days": [day.isoformat() for day in run]}
        ranges = date_ranges(run, before=_READ_BACK)
        for name, one in zip(("transactions", "labels"), read_from, strict=True):
            part[name] = [
                file["file_path"]
                for file in files
                if file["table"] == one.table
                and any(first <= file["event_date"] <= last for first, last in ranges)
            ]
        parts.append(part)
    return parts


def _from_files(batches: Batches, *, filled: Filled) -> Batches:
    """Compute the features of each part, in a Python worker."""
    import pyarrow as pa

    from lake.store import open_store

    # The worker reads its own settings, so that no key is in a query plan.
    store = open_store(load_settings(), "processor")
    for batch in batches:
        for text in batch["part"].to_pylist():
            part = json.loads(text)
            rows = _read(store, part["transactions"], "processed.transactions", inputs(filled))
            days = pa.array([date.fromisoformat(day) for day in part["days"]], pa.date32())
            rows = rows.append_column("is_wanted", pc.is_in(rows["event_date"], days))
            yield from computed(rows, filled, _frauds(store, part["labels"]))
            del rows
    # Spark keeps the worker for the next task, so return the memory of this one.
    pa.default_memory_pool().release_unused()


def _read(
    store: Any, paths: Sequence[str], table: str, names: Sequence[str], only: Any = None
) -> "pa.Table":
    """Return columns of data files; columns of repeated texts are dictionaries."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    coded = [name for name in names if name in _REPEATED]
    declared = to_arrow.schema(TABLES[table])
    fields = [
        pa.field(name, pa.dictionary(pa.int32(), pa.string()))
        if name in coded
        else declared.field(name).with_nullable(True)
        for name in names
    ]
    form = ds.ParquetFileFormat(read_options={"dictionary_columns": coded})
    files = [path.partition("://")[2] for path in paths]
    if not files:
        return pa.schema(fields).empty_table()
    dataset = ds.dataset(files, pa.schema(fields), form, filesystem=store)
    return dataset.to_table(columns=list(names), filter=only).unify_dictionaries().combine_chunks()


def _frauds(store: Any, paths: Sequence[str]) -> "pa.Table":
    """Return the same rows as `known_frauds`, from data files."""
    import pyarrow.dataset as ds

    return frauds_of(_read(store, paths, "processed.labels", _LABELS, ds.field("is_fraud")))
