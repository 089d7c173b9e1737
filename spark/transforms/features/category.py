"""Delayed risk of a merchant category, over whole days.

A category has few values and very many payments, so that a frame to the second would be one task's
work for little gain: days are counted first, and the counts are joined.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.features import LABEL_DELAY_DAYS, MERCHANT_WINDOW_DAYS
from spark.transforms.features.counterparty import smoothed_share
from spark.transforms.features.groups import DAY

_CATEGORY = ["source_system", "merchant_category"]
_DAYS = max(MERCHANT_WINDOW_DAYS)


def with_category_risk(payments: DataFrame, judged: DataFrame) -> DataFrame:
    """Add the smoothed fraud share of the category's payments, as known when the day began.

    `judged` are the same payments with the `fraud_micros` of those known as fraud.

    For a payment of day d they are those of the `_DAYS` days up to d - `LABEL_DELAY_DAYS` - 1.
    Source: see `smoothed_share`; the delay is that of the handbook's terminal risk.
    """
    known_day = F.ceil(F.col("fraud_micros") / F.lit(DAY)).cast("int")
    per_day = (
        judged.filter(F.col("merchant_category").isNotNull())
        .groupBy(*_CATEGORY, "event_date", known_day.alias("known_day"))
        .agg(F.count(F.lit(1)).alias("payments"))
    )
    days = per_day.select(*_CATEGORY, F.col("event_date").alias("day")).distinct()
    back = F.date_diff("day", "event_date")
    is_inside = back.between(LABEL_DELAY_DAYS + 1, LABEL_DELAY_DAYS + _DAYS)
    is_known = F.col("known_day") <= F.unix_date("day")
    risk = (
        days.join(per_day, on=_CATEGORY, how="left")
        .groupBy(*_CATEGORY, F.col("day").alias("event_date"))
        .agg(
            F.sum(F.when(is_inside, F.col("payments")).otherwise(0)).alias("paid"),
            F.sum(F.when(is_inside & is_known, F.col("payments")).otherwise(0)).alias("frauds"),
        )
        .select(
            *_CATEGORY,
            "event_date",
            smoothed_share(F.col("frauds"), F.col("paid")).alias(
                f"category_fraud_share_smoothed_{_DAYS}d"
            ),
        )
    )
    return payments.join(F.broadcast(risk), on=[*_CATEGORY, "event_date"], how="left")
