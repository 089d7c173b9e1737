"""How the features of a window are divided among tasks.

By dates, when a task can hold the dates that it computes and the look-back before them: each reads
the files of its dates itself, no row is moved between tasks, and the price is that a look-back is
read by two. By keys, when a task cannot: rows move to the task of their customer and then to that
of their counterparty.
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
from spark.transforms.features import OUT, Filled, computed, inputs, known_frauds, schema
from spark.transforms.features.by_keys import by_counterparty, by_customer, category_counts

if TYPE_CHECKING:
    import pyarrow as pa

Batches = Iterator["pa.RecordBatch"]
_WORTH_A_PART: Final = 500_000
"""Rows that one task computes in about a second."""
_PARTS_A_TASK: Final = 2
"""A task takes its parts one after the other, so that it holds less at once."""
_MOST_ROWS: Final = 6_000_000
"""Rows that one task may hold: about 0.6 GB for each million."""
_ROWS_BY_KEY: Final = 1_000_000
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
"""Texts that stand in many rows of a day."""


@dataclass(frozen=True)
class Held:
    """A table of the lake at a snapshot."""

    table: str
    snapshot_id: int


def feature_rows(
    spark: SparkSession,
    held: tuple[Held, Held],
    filled: Filled,
    days: Mapping[date, int],
    most_rows: int = _MOST_ROWS,
) -> DataFrame:
    """Return the features of `days` (rows of each), computed by tasks from all payments.

    `held` are the payments and their labels. What makes a task hold more than `most_rows` rows is
    divided by keys.
    """
    transactions, labels = held
    total = sum(days.values())
    look_back = ceil(total / max(len(days), 1) * LOOKBACK_DAYS)
    count = max(ceil(total / _WORTH_A_PART), 1)
    if count > 1:
        count = min(count, _PARTS_A_TASK * _at_once(spark))
    if total / count + look_back <= most_rows:
        parts = _parts(spark, cut(days, count), held)
        if parts is not None:
            step = partial(_from_files, filled=filled)
            return _told(spark, parts).mapInArrow(step, schema(OUT))
    needed = within("event_date", date_ranges(days, before=LOOKBACK_DAYS))
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
    """Divide dates into at most `count` runs, so that the largest has few rows to read.

    A run reads the look-back before its first date too, as far as that is among `days`.

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
    """Divide dates into runs that read at most so many rows, where one date allows it."""
    runs: list[list[date]] = []
    rows = most + 1
    for day in sorted(days):
        if rows + days[day] > most:
            first = day - timedelta(LOOKBACK_DAYS)
            rows = sum(held for other, held in days.items() if first <= other < day)
            runs.append([])
        runs[-1].append(day)
        rows += days[day]
    return runs


def _at_once(spark: SparkSession) -> int:
    """Return how many tasks the session runs at once, as it divides a range of numbers."""
    numbers = spark.range(1024).select(F.spark_partition_id().alias("task"))
    return int(numbers.distinct().count())


def _told(spark: SparkSession, parts: Sequence[dict[str, Any]]) -> DataFrame:
    """Return a frame that tells its tasks their parts, as JSON."""
    # Spark divides what a client sends among as many tasks as it runs at once.
    return spark.createDataFrame([(json.dumps(part),) for part in parts], "part string")


def _parts(
    spark: SparkSession, runs: Sequence[Sequence[date]], held: tuple[Held, Held]
) -> list[dict[str, Any]] | None:
    """Return, for each run of dates, those and the files of theirs and of their look-back.

    None where rows of a file were deleted since, which only Spark knows to leave out.
    """
    query = " UNION ALL ".join(
        f"SELECT '{one.table}' AS table, content, partition.event_date AS event_date, file_path"  # noqa: S608 - our own names
        f" FROM {qualified(one.table)}.files VERSION AS OF {one.snapshot_id}"
        for one in held
    )
    wanted = within("event_date", date_ranges(chain(*runs), before=LOOKBACK_DAYS))
    files = spark.sql(query).filter(wanted).collect()
    if any(file["content"] for file in files):
        return None
    parts = []
    for run in runs:
        part: dict[str, Any] = {"days": [day.isoformat() for day in run]}
        ranges = date_ranges(run, before=LOOKBACK_DAYS)
        for name, one in zip(("transactions", "labels"), held, strict=True):
            part[name] = [
                file["file_path"]
                for file in files
                if file["table"] == one.table
                and any(first <= file["event_date"] <= last for first, last in ranges)
            ]
        parts.append(part)
    return parts


def _from_files(batches: Batches, *, filled: Filled) -> Batches:
    """Compute the features of each part; runs beside Spark's executor."""
    import pyarrow as pa

    from lake.store import open_store

    # By the task's own settings, so that no key stands in a plan.
    store = open_store(load_settings(), "processor")
    for batch in batches:
        for told in batch["part"].to_pylist():
            part = json.loads(told)
            rows = _read(store, part["transactions"], "processed.transactions", inputs(filled))
            days = pa.array([date.fromisoformat(day) for day in part["days"]], pa.date32())
            rows = rows.append_column("is_wanted", pc.is_in(rows["event_date"], days))
            yield from computed(rows, filled, _frauds(store, part["labels"]))
            del rows
    # Spark keeps the process for the next task: what this one needed should not stay with it.
    pa.default_memory_pool().release_unused()


def _read(
    store: Any, paths: Sequence[str], table: str, names: Sequence[str], only: Any = None
) -> "pa.Table":
    """Return columns of data files; texts that repeat as dictionaries."""
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
    """Return what `known_frauds` does, from data files."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    rows = _read(store, paths, "processed.labels", _LABELS, ds.field("is_fraud"))
    micros = rows["known_at"].cast(pa.int64())
    rows = rows.select(["source_system", "event_id"]).append_column("known", micros)
    rows = rows.set_column(0, "source_system", rows["source_system"].cast(pa.string()))
    first = rows.group_by(["source_system", "event_id"]).aggregate([("known", "min")])
    return first.rename_columns({"known_min": "fraud_micros"})
