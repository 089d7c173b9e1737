"""Features of more payments than a task can hold: those of customers first, then counterparties.

Rows move to the task of their customer, and then to that of their counterparty. The formulas are
those of `compute`, and so are the bits.
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
    """Compute the features of customers in `count` tasks; then bring counterparties together.

    `rows` have the `inputs` of payments and `is_wanted`. `by_counterparty` computes the rest from
    the batches of each task of what is returned.
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
    # Payments without a counterparty belong nowhere, so they go everywhere.
    place = F.coalesce("counterparty_id", "event_id")
    return done.repartition(count, "source_system", place)


def with_frauds(payments: DataFrame, frauds: DataFrame) -> DataFrame:
    """Add `fraud_micros` to payments, null where none is known."""
    return payments.join(F.broadcast(frauds), on=["source_system", "event_id"], how="left")


def category_counts(rows: DataFrame, frauds: DataFrame, filled: Filled) -> pa.Table | None:
    """Return the counts that the risk of categories needs; None where no source has categories."""
    wanted, _ = wanted_of(filled)
    if CATEGORY_RISK not in wanted:
        return None
    return counts_by_day(with_frauds(rows, frauds)).toArrow()


def by_counterparty(
    batches: Iterator[pa.RecordBatch], *, filled: Filled, counts: pa.Table | None
) -> Iterator[pa.RecordBatch]:
    """Turn the rows of `by_customer` in one task into rows of features."""
    held = list(batches)
    if held:
        rows = of_counterparties(pa.Table.from_batches(held), filled, counts)
        yield from finished(rows, filled)


def _receipts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from with_receipts(pa.Table.from_batches([batch])).to_batches()


def _of_customers(
    batches: Iterator[pa.RecordBatch], *, filled: Filled, names: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    held = list(batches)
    if held:
        yield from of_customers(pa.Table.from_batches(held), filled).select(names).to_batches()
