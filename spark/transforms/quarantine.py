"""Columns of quarantined rows: the date of delivery and the history of redrives."""

from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lake.tables import delivered_date

HISTORY: Final = ("first_seen_at", "redrive_count", "redrive_run_id", "delivered_date")
"""Columns that a refused row keeps when a redrive refuses it again."""
_EXISTING: Final = ("raw_object", "raw_position", *HISTORY)


def with_history(refused: DataFrame, existing: DataFrame) -> DataFrame:
    """Add to refused rows their history in the quarantine; a new row starts one.

    `existing` are rows of the quarantine; `refused` has raw_object, raw_position and ingested_at.

    >>> refused = spark.sql("SELECT 'day' raw_object, id raw_position FROM range(2)")
    >>> refused = refused.withColumn("ingested_at", F.now())
    >>> existing = refused.limit(1).selectExpr(
    ...     "*", "ingested_at first_seen_at", "1L redrive_count", "'run' redrive_run_id",
    ...     "current_date() delivered_date"
    ... )
    >>> sorted(row.redrive_count for row in with_history(refused, existing).collect())
    [0, 1]
    """
    date_of_new = delivered_date(F.col("raw_object"), F.col("ingested_at"))
    return (
        refused.join(
            F.broadcast(existing.select(*_EXISTING)), ["raw_object", "raw_position"], "left"
        )
        .withColumn("first_seen_at", F.coalesce("first_seen_at", "ingested_at"))
        .withColumn("redrive_count", F.coalesce("redrive_count", F.lit(0).cast("bigint")))
        .withColumn("delivered_date", F.coalesce("delivered_date", date_of_new))
    )
