"""How the features of a window are divided among tasks.

By dates, when a task can hold the dates that it computes and the look-back before them: then no row
is moved between tasks, and the price is that a look-back is read by two. By keys, when one cannot:
rows move to the task of their customer and then to that of their counterparty.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from math import ceil
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.features import LOOKBACK_DAYS
from spark.files import Batches
from spark.tables import spans, within
from spark.transforms.features import (
    Filled,
    by_customer,
    compute,
    finish_counterparties,
    inputs,
    known_frauds,
)

Tasks = tuple[list[DataFrame], Callable[[Batches], Batches]]
"""Rows as the tasks read them, and what makes features of the batches of one task."""
_WORTH_A_TASK: Final = 500_000
"""Rows that one task computes in about a second."""
_MOST_ROWS: Final = 6_000_000
"""Rows that one task may hold: about 0.4 GB for each million."""
_ROWS_BY_KEY: Final = 1_000_000


def feature_tasks(
    transactions: DataFrame,
    labels: DataFrame,
    filled: Filled,
    days: Mapping[date, int],
    most_rows: int = _MOST_ROWS,
) -> Tasks:
    """Return the tasks that compute the features of `days` (rows of each), from all payments.

    One with more than `most_rows` rows to hold has its work divided by keys.
    """
    needed = within("event_date", spans(days, before=LOOKBACK_DAYS))
    frauds = known_frauds(labels.filter(needed))
    total = sum(days.values())
    look_back = ceil(total / max(len(days), 1) * LOOKBACK_DAYS)
    count = max(min(ceil(total / _WORTH_A_TASK), _at_once(transactions)), 1)
    if total / count + look_back > most_rows:
        rows = _rows(transactions, labels, filled, sorted(days))
        count = ceil((total + look_back) / min(_ROWS_BY_KEY, most_rows))
        return [by_customer(rows, frauds, filled, count)], partial(
            finish_counterparties, filled=filled
        )
    parts = cut(days, count) or [[]]
    frames = [_rows(transactions, labels, filled, part).coalesce(1) for part in parts]
    return frames, partial(compute, filled=filled, frauds=frauds.toArrow())


def _rows(
    transactions: DataFrame, labels: DataFrame, filled: Filled, dates: Sequence[date]
) -> DataFrame:
    needed = within("event_date", spans(dates, before=LOOKBACK_DAYS))
    marked = transactions.filter(needed).withColumn("is_wanted", within("event_date", spans(dates)))
    return inputs(marked, labels.filter(needed), filled)


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


def _at_once(df: DataFrame) -> int:
    """Return how many tasks the session runs at once, as it divides a range of numbers."""
    numbers = df.sparkSession.range(1024).select(F.spark_partition_id().alias("task"))
    return int(numbers.distinct().count())
