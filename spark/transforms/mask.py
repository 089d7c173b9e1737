"""The masked sample that analysts may explore."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_ONE_IN = 10


def is_sampled(source_system: Column, event_id: Column) -> Column:
    """Tell whether a payment is in the sample: a fixed tenth, by the hash of its key."""
    digest = F.sha2(F.concat_ws("|", F.lit("sample"), source_system, event_id), 256)
    return F.conv(F.substring(digest, 1, 8), 16, 10).cast("bigint") % _ONE_IN == 0


def masked_sample(transactions: DataFrame) -> DataFrame:
    """Return a tenth of the payments, without tokens, amounts rounded to tens, hours only."""
    return transactions.filter(is_sampled(F.col("source_system"), F.col("event_id"))).select(
        "event_id",
        "source_system",
        "event_date",
        F.hour("event_at").alias("hour_of_day"),
        "counterparty_type",
        "merchant_category",
        "transaction_type",
        "channel",
        "payment_method",
        F.round("amount", -1).cast("bigint").alias("amount_rounded"),
        "currency",
        "country",
        "region",
    )
