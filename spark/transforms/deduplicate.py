"""Deduplication: first arrivals, repeats and conflicts."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from contracts.reasons import DESCRIPTIONS, RejectReason

ACCEPTED = "accepted"
DUPLICATE = "duplicate"
QUARANTINED = "quarantined"


def deduplicate(batch: DataFrame, known: DataFrame) -> DataFrame:
    """Add `verdict` and `is_later` to the rows of a batch.

    `verdict` is accepted, duplicate or quarantined; `is_later` whether a row arrived after the
    first of its payment.

    Of the valid rows with the same (source_system, event_id), the first arrival is accepted: a row
    of `known` comes first, then rows are ordered by `ingested_at`, object and position. Another row
    is a duplicate if it has the same `content_hash`, and is quarantined as conflicting otherwise. A
    row of `known` with the object and position of a batch row is that row, so that processing a
    batch twice gives the same result.

    `known` has source_system, event_id, content_hash, raw_object, raw_position and ingested_at.

    >>> batch = spark.createDataFrame(
    ...     [("e1", "same", 0), ("e1", "same", 1), ("e1", "other", 2)],
    ...     "event_id string, content_hash string, raw_position long",
    ... ).selectExpr("*", "'shop' source_system", "'day.csv' raw_object", "now() ingested_at")
    >>> none = F.array().cast("array<string>")
    >>> batch = batch.withColumns({"reasons": none, "rules": none})
    >>> known = batch.drop("reasons", "rules").limit(0)
    >>> verdicts = deduplicate(batch, known)
    >>> [row.verdict for row in verdicts.sort("raw_position").collect()]
    ['accepted', 'duplicate', 'quarantined']
    """
    is_valid = F.size("reasons") == 0
    both = batch.withColumns({"is_known": F.lit(False), "is_valid": is_valid}).unionByName(
        known.withColumns({"is_known": F.lit(True), "is_valid": F.lit(True)}),
        allowMissingColumns=True,
    )
    same_payment = Window.partitionBy("source_system", "event_id", "is_valid").orderBy(
        F.col("is_known").desc(), "ingested_at", "raw_object", "raw_position"
    )
    place = ("raw_object", "raw_position")
    first = F.first(F.struct("content_hash", "ingested_at", *place)).over(same_payment)
    is_first = (F.col("first.raw_object") == F.col("raw_object")) & (
        F.col("first.raw_position") == F.col("raw_position")
    )
    is_later = ~is_first & (F.col("ingested_at") >= F.col("first.ingested_at"))
    is_same = F.col("first.content_hash") == F.col("content_hash")
    verdict = (
        F.when(~F.col("is_valid"), QUARANTINED)
        .when(is_first, ACCEPTED)
        .when(is_same, DUPLICATE)
        .otherwise(QUARANTINED)
    )
    reason = RejectReason.CONFLICTING_DUPLICATE
    conflict = {"reasons": str(reason), "rules": DESCRIPTIONS[reason]}
    is_conflict = F.col("is_valid") & (F.col("verdict") == QUARANTINED)
    return (
        both.withColumn("first", first)
        .withColumns({"verdict": verdict, "is_later": is_later})
        .withColumns(
            {
                name: F.when(is_conflict, F.array(F.lit(one))).otherwise(F.col(name))
                for name, one in conflict.items()
            }
        )
        .filter(~F.col("is_known"))
        .drop("is_known", "is_valid", "first")
    )
