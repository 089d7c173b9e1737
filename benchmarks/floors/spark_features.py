"""The handbook's 14 features as a textbook Spark job: growing windows, two sorts."""

from pathlib import Path

from pyspark.sql import SparkSession, Window, WindowSpec
from pyspark.sql import functions as F

_DAY = 86_400


def run(spark: SparkSession, folder: Path, target: Path) -> None:
    """Compute the features of the daily files in `folder` into the folder `target`."""
    payments = spark.read.parquet(folder.as_uri()).select(
        "TRANSACTION_ID",
        "TX_DATETIME",
        "CUSTOMER_ID",
        "TERMINAL_ID",
        F.unix_seconds(F.col("TX_DATETIME").cast("timestamp")).alias("second"),
        F.round(F.col("TX_AMOUNT") * 100).cast("bigint").alias("cents"),
        F.col("TX_FRAUD").alias("fraud"),
    )
    same = Window.partitionBy("CUSTOMER_ID").orderBy("second", "TRANSACTION_ID")
    payments = payments.withColumn("last_id", F.lag("TRANSACTION_ID").over(same)).filter(
        F.coalesce(F.col("last_id") != F.col("TRANSACTION_ID"), F.lit(True))
    )
    so_far = same.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    rows = payments.withColumns(
        {"seen": F.count(F.lit(1)).over(so_far), "seen_cents": F.sum("cents").over(so_far)}
    )
    for days in (1, 7, 30):
        frame = _until("CUSTOMER_ID", days)
        rows = rows.withColumns(
            {
                f"seen_{days}": F.count(F.lit(1)).over(frame),
                f"cents_{days}": F.coalesce(F.sum("cents").over(frame), F.lit(0)),
            }
        )
    for days in (7, 8, 14, 37):
        frame = _until("TERMINAL_ID", days)
        rows = rows.withColumns(
            {
                f"there_{days}": F.count(F.lit(1)).over(frame),
                f"frauds_{days}": F.coalesce(F.sum("fraud").over(frame), F.lit(0)),
            }
        )
    columns = [
        F.col("TRANSACTION_ID"),
        (F.col("cents") / 100).alias("amount"),
        (F.weekday("TX_DATETIME") >= 5).alias("is_weekend"),
        (F.hour("TX_DATETIME") <= 6).alias("is_night"),
    ]
    for days in (1, 7, 30):
        count = F.col("seen") - F.col(f"seen_{days}")
        cents = F.col("seen_cents") - F.col(f"cents_{days}")
        there = F.col("there_7") - F.col(f"there_{days + 7}")
        frauds = F.col("frauds_7") - F.col(f"frauds_{days + 7}")
        columns += [
            count.alias(f"customer_count_{days}d"),
            (cents / (count * 100)).alias(f"customer_mean_{days}d"),
            there.alias(f"terminal_count_{days}d"),
            F.when(there > 0, frauds / there).otherwise(0.0).alias(f"terminal_risk_{days}d"),
        ]
    rows.select(*columns).write.mode("overwrite").option("compression", "zstd").parquet(
        target.as_uri()
    )


def _until(key: str, days: int) -> WindowSpec:
    ordered = Window.partitionBy(key).orderBy("second")
    return ordered.rangeBetween(Window.unboundedPreceding, -days * _DAY)
