"""Customers and merchants: what payments tell of their parties, tokens only."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def _merged(
    known: DataFrame, transactions: DataFrame, party: str, attributes: tuple[str, ...]
) -> DataFrame:
    """Keep first and last sight of each party, and the attributes of the last one.

    Two sights at the same instant are ordered by their attributes, so that the result does not
    depend on which window came first.
    """
    key = ("source_system", party)
    # A row for each set of attributes first: to compare the attributes of each payment would sort.
    seen = transactions.groupBy(*key, *attributes).agg(
        F.min("event_at").alias("first_event_at"), F.max("event_at").alias("last_event_at")
    )
    latest = F.max(F.struct("last_event_at", *attributes)).alias("latest")
    return (
        known.select(*seen.columns)
        .unionByName(seen)
        .filter(F.col(party).isNotNull())
        .groupBy(*key)
        .agg(F.min("first_event_at").alias("first_event_at"), latest)
        .select(*key, "first_event_at", "latest.*")
    )


def customers(known: DataFrame, transactions: DataFrame) -> DataFrame:
    """Return one row per customer token, from those known and the payments of a batch."""
    attributes = ("country", "region", "home_lat", "home_lon")
    return _merged(known, transactions, "customer_id", attributes)


def merchants(known: DataFrame, transactions: DataFrame) -> DataFrame:
    """Return one row per counterparty, from those known and the payments of a batch."""
    attributes = ("counterparty_type", "merchant_category")
    return _merged(known, transactions, "counterparty_id", attributes)
