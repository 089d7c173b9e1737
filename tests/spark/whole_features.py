"""The features of frames that are small enough for one task."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from spark.transforms.features import OUT, Filled, computed, inputs, known_frauds, schema


def features(transactions: DataFrame, labels: DataFrame, filled: Filled | None = None) -> DataFrame:
    """Return the declared features of each payment, from these payments and labels alone.

    A payment's values are right when the frames hold the `LOOKBACK_DAYS` before it.
    """
    frauds = known_frauds(labels).toArrow()

    def compute(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if rows := list(batches):
            yield from computed(pa.Table.from_batches(rows), filled, frauds)

    rows = transactions.select(*inputs(filled)).coalesce(1)
    return rows.mapInArrow(compute, schema(OUT))
