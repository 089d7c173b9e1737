"""How the features of a window are divided among tasks.

By dates, when a task can hold the dates that it computes and the look-back before them: each reads
the files of its dates itself, no row is moved between tasks, and the price is that a look-back is
read by two. By keys, when a task cannot: rows move to the task of their customer and then to that
of their counterparty.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc
from pyiceberg.utils.datetime import date_to_days
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from contracts.features import LOOKBACK_DAYS
from contracts.render import to_arrow
from contracts.settings import load_settings
from contracts.tables import TABLES
from lake.catalog import open_catalog
from lake.dates import date_ranges
from spark.tables import read, within
from spark.transforms.features import OUT, Filled, computed, inputs, known_frauds, schema
from spark.transforms.features.by_keys import by_counterparty, by_customer, category_counts

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog

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
        with closing(open_catalog(load_settings(), "processor")) as catalog:
            parts = _parts(catalog, cut(days, count), transactions, labels)
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
    catalog: "Catalog", runs: Sequence[Sequence[date]], transactions: Held, labels: Held
) -> list[dict[str, Any]] | None:
    """Return, for each run of dates, those and the files of theirs and of their look-back.

    None where a file has rows that were deleted since, which only Spark knows to leave out.
    """
    parts: list[dict[str, Any]] = [{"days": [day.isoformat() for day in run]} for run in runs]
    for held in (transactions, labels):
        table = catalog.load_table(held.table)
        tasks = list(table.scan(snapshot_id=held.snapshot_id).plan_files())
        if any(task.delete_files for task in tasks):
            return None
        for part, run in zip(parts, runs, strict=True):
            dates = {
                date_to_days(first + timedelta(n))
                for first, last in date_ranges(run, before=LOOKBACK_DAYS)
                for n in range((last - first).days + 1)
            }
            paths = [t.file.file_path for t in tasks if t.file.partition[0] in dates]
            part["transactions" if held is transactions else "labels"] = paths
    return parts


def _from_files(batches: Batches, *, filled: Filled) -> Batches:
    """Compute the features of each part; runs beside Spark's executor."""
    import pyarrow as pa

    store = _task_store()
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


def _task_store() -> Any:
    """Open the object store by the task's own settings, so that no key stands in a plan."""
    from lake.store import open_store, store_properties

    return open_store(store_properties(load_settings(), "processor"))


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
