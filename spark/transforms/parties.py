"""Customers and merchants, derived from payments, with tokens only."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def _merged(
    known: DataFrame, transactions: DataFrame, party: str, attributes: tuple[str, ...]
) -> DataFrame:
    """Return first and last payment of each party of a batch, and its attributes at the last one.

    Payments at the same instant are ordered by their attributes, so that the result does not
    depend on the order of windows.
    """
    key = ("source_system", party)
    # First one row for each set of attributes, to avoid a sort over all payments.
    observed = (
        transactions.filter(F.col(party).isNotNull())
        .groupBy(*key, *attributes)
        .agg(F.min("event_at").alias("first_event_at"), F.max("event_at").alias("last_event_at"))
    )
    latest = F.max(F.struct("last_event_at", *attributes)).alias("latest")
    return (
        known.select(*observed.columns)
        .join(observed.select(*key), list(key), "left_semi")
        .unionByName(observed)
        .groupBy(*key)
        .agg(F.min("first_event_at").alias("first_event_at"), latest)
        .select(*key, "first_event_at", "latest.*")
    )


def customers(known: DataFrame, transactions: DataFrame) -> DataFrame:
    """Return one row for each customer of a batch, from its payments and the known customers.

    >>> payments = spark.sql(
    ...     "SELECT 'shop' source_system, 'c1' customer_id, make_date(2024, 5, id) event_at,"
    ...     " 'FR' country, 'Corse' region, 42.0D home_lat, 9.1D home_lon FROM range(1, 4)"
    ... )
    >>> known = payments.selectExpr("*", "event_at first_event_at", "event_at last_event_at")
    >>> known = known.limit(0)
    >>> [str(day) for day in customers(known, payments).first()[2:4]]
    ['2024-05-01', '2024-05-03']
    """
    attributes = ("country", "region", "home_lat", "home_lon")
    return _merged(known, transactions, "customer_id", attributes)


def merchants(known: DataFrame, transactions: DataFrame) -> DataFrame:
    """Return one row for each counterparty of a batch, from its payments and the known ones.

    >>> payments = spark.sql(
    ...     "SELECT 'shop' source_system, 'm1' counterparty_id, make_date(2024, 5, id) event_at,"
    ...     " 'merchant' counterparty_type, 'food' merchant_category FROM range(1, 4)"
    ... )
    >>> known = payments.selectExpr("*", "event_at first_event_at", "event_at last_event_at")
    >>> known = known.limit(0)
    >>> merchants(known, payments).select("merchant_category").first()
    Row(merchant_category='food')
    """
    attributes = ("counterparty_type", "merchant_category")
    return _merged(known, transactions, "counterparty_id", attributes)
