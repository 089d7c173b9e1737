"""The masked sample for analysts."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_ONE_IN = 10


def is_sampled(source_system: Column, event_id: Column) -> Column:
    """Return whether a payment is in the sample: a fixed tenth, by the hash of its key.

    >>> event_id = F.col("id").cast("string")
    >>> spark.range(1000).filter(is_sampled(F.lit("shop"), event_id)).count()
    104
    """
    digest = F.sha2(F.concat_ws("|", F.lit("sample"), source_system, event_id), 256)
    return F.conv(F.substring(digest, 1, 8), 16, 10).cast("bigint") % _ONE_IN == 0


def masked_sample(transactions: DataFrame) -> DataFrame:
    """Return a tenth of the payments without tokens, with amounts rounded to tens and hours only.

    >>> payments = spark.sql(
    ...     "SELECT string(id) event_id, 'shop' source_system,"
    ...     " timestamp '2024-05-01 12:30:00' event_at, 123.45 amount,"
    ...     " date '2024-05-01' event_date, 'pos' channel, 'card' payment_method,"
    ...     " 'purchase' transaction_type, 'merchant' counterparty_type, 'food' merchant_category,"
    ...     " 'EUR' currency, 'FR' country, 'Corse' region FROM range(100)"
    ... )
    >>> masked_sample(payments).select("hour_of_day", "amount_rounded").first()
    Row(hour_of_day=12, amount_rounded=120)
    """
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
