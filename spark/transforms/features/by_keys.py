"""Features of more payments than fit in a task: features of customers, then of counterparties.

Spark repartitions the rows by customer, then by counterparty. The formulas are those of `compute`,
and the results are identical.
"""

from collections.abc import Iterator
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.columns import COLUMNS
from contracts.render.to_spark import SPARK_TYPES
from spark.transforms.features import (
    PRESENCE,
    RECEIVED,
    Filled,
    finished,
    of_counterparties,
    of_customers,
    wanted_of,
)
from spark.transforms.features.category import CATEGORY_RISK, counts_by_day
from spark.transforms.features.received import with_receipts


def by_customer(rows: DataFrame, frauds: DataFrame, filled: Filled, count: int) -> DataFrame:
    """Compute the features of customers in `count` tasks, then repartition by counterparty.

    `rows` have the `inputs` of payments and `is_wanted`. `by_counterparty` computes the other
    features from the partitions of the returned frame.

    >>> payments = spark.sql(
    ...     "SELECT 'e1' event_id, 'shop' source_system, 0L source_sequence, 'c1' customer_id,"
    ...     " timestamp '2024-05-01 12:00:00' event_at, date '2024-05-01' event_date,"
    ...     " string(NULL) counterparty_id, CAST(9.5 AS decimal(20, 4)) amount, 'EUR' currency,"
    ...     " 'second' event_at_precision, true is_wanted"
    ... )
    >>> frauds = spark.sql("SELECT 'e1' event_id, 'shop' source_system, 0L fraud_micros")
    >>> by_customer(payments, frauds, {"shop": frozenset()}, 1).first().hour_of_day
    12
    """
    wanted, _ = wanted_of(filled)
    kinds = dict(with_frauds(rows, frauds).dtypes)
    if RECEIVED in wanted:
        both = ", ".join(f"{name} {kind}" for name, kind in rows.dtypes)
        rows = rows.mapInArrow(_receipts, f"{both}, is_receipt boolean")
    own = (name for name in wanted if not name.startswith(("merchant_", "payee_", "category_")))
    kinds |= {name: SPARK_TYPES[COLUMNS[name].type] for name in own}
    if "is_new_merchant" in wanted:
        kinds |= dict.fromkeys(PRESENCE, "boolean")
    step = partial(_of_customers, filled=filled, names=tuple(kinds))
    done = (
        with_frauds(rows, frauds)
        .repartition(count, "source_system", "customer_id")
        .mapInArrow(step, ", ".join(f"{name} {kind}" for name, kind in kinds.items()))
    )
    # Payments without a counterparty are spread over all partitions.
    place = F.coalesce("counterparty_id", "event_id")
    return done.repartition(count, "source_system", place)


def with_frauds(payments: DataFrame, frauds: DataFrame) -> DataFrame:
    """Add `fraud_micros` to payments, null without a known fraud.

    >>> payments = spark.sql("SELECT 'shop' source_system, string(id) event_id FROM range(2)")
    >>> frauds = spark.sql("SELECT 'shop' source_system, '1' event_id, 5L fraud_micros")
    >>> [row.fraud_micros for row in with_frauds(payments, frauds).sort("event_id").collect()]
    [None, 5]
    """
    return payments.join(F.broadcast(frauds), on=["source_system", "event_id"], how="left")


def category_counts(rows: DataFrame, frauds: DataFrame, filled: Filled) -> pa.Table | None:
    """Return the counts for the risk of categories; None if no source has categories.

    >>> category_counts(spark.range(1), spark.range(1), {"shop": frozenset()}) is None
    True
    """
    wanted, _ = wanted_of(filled)
    if CATEGORY_RISK not in wanted:
        return None
    return counts_by_day(with_frauds(rows, frauds)).toArrow()


def by_counterparty(
    batches: Iterator[pa.RecordBatch], *, filled: Filled, counts: pa.Table | None
) -> Iterator[pa.RecordBatch]:
    """Return rows of features for a partition of `by_customer`, for use with `mapInArrow`.

    >>> list(by_counterparty(iter([]), filled={"shop": frozenset()}, counts=None))
    []
    """
    task_batches = list(batches)
    if task_batches:
        rows = of_counterparties(pa.Table.from_batches(task_batches), filled, counts)
        yield from finished(rows, filled)


def _receipts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from with_receipts(pa.Table.from_batches([batch])).to_batches()


def _of_customers(
    batches: Iterator[pa.RecordBatch], *, filled: Filled, names: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    task_batches = list(batches)
    if task_batches:
        rows = of_customers(pa.Table.from_batches(task_batches), filled)
        yield from rows.select(names).to_batches()
