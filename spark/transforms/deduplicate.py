"""Tell first arrivals from repeats and from conflicts."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from contracts.reasons import RejectReason

ACCEPTED = "accepted"
DUPLICATE = "duplicate"
QUARANTINED = "quarantined"


def deduplicate(batch: DataFrame, known: DataFrame) -> DataFrame:
    """Add `verdict` to the rows of a batch, given the rows that are known already.

    Of the valid rows of one (source_system, event_id) the first arrival is accepted: a known row,
    else by `ingested_at`, object and position. Another row with the same `content_hash` is a
    duplicate; with another one it is quarantined as conflicting. A known row that comes from the
    batch's own object is that row of the batch, so that processing twice gives the same.

    `known` has source_system, event_id, content_hash, raw_object and raw_position.
    """
    is_valid = F.size("reasons") == 0
    both = batch.withColumns({"is_known": F.lit(False), "is_valid": is_valid}).unionByName(
        known.withColumns({"is_known": F.lit(True), "is_valid": F.lit(True)}),
        allowMissingColumns=True,
    )
    same_payment = Window.partitionBy("source_system", "event_id", "is_valid").orderBy(
        F.col("is_known").desc(), "ingested_at", "raw_object", "raw_position"
    )
    first = F.first(F.struct("content_hash", "raw_object", "raw_position")).over(same_payment)
    is_first = (F.col("first.raw_object") == F.col("raw_object")) & (
        F.col("first.raw_position") == F.col("raw_position")
    )
    is_same = F.col("first.content_hash") == F.col("content_hash")
    verdict = (
        F.when(~F.col("is_valid"), QUARANTINED)
        .when(is_first, ACCEPTED)
        .when(is_same, DUPLICATE)
        .otherwise(QUARANTINED)
    )
    conflict = F.array(F.lit(str(RejectReason.CONFLICTING_DUPLICATE)))
    is_conflict = F.col("is_valid") & (F.col("verdict") == QUARANTINED)
    return (
        both.withColumn("first", first)
        .withColumn("verdict", verdict)
        .withColumn("reasons", F.when(is_conflict, conflict).otherwise(F.col("reasons")))
        .filter(~F.col("is_known"))
        .drop("is_known", "is_valid", "first")
    )
