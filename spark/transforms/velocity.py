"""Velocities of a card over minutes, and the local hour: figures of the rules of fraud.

`contracts/fraud_rules.py` declares the figures (`VELOCITIES`).
"""

from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from contracts.fraud_rules import VELOCITY_COUNTS, VELOCITY_SECONDS, velocity

_MICROS: Final = 1_000_000
_DAY_SECONDS: Final = 86_400
_DEGREE_SECONDS: Final = 240
"""The Earth turns by one degree in four minutes."""
_PRECISION_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3_600}
"""Seconds between two times of a precision. Times of the other precision are no clock times."""
_PAYMENTS: Final = "transaction"
_DISTINCT: Final = tuple(f"_{name}" for name in VELOCITY_COUNTS if name != _PAYMENTS)
_HELPERS: Final = ("_micros", "_position", "_recent", *_DISTINCT)


def with_velocities(payments: DataFrame) -> DataFrame:
    """Add the figures `VELOCITIES` to rows of processed.transactions.

    `payments` has all payments of the hour before each payment whose figures are used. Payments of
    a card at the same instant are in the order of the features: `source_sequence`, then `event_id`.
    A payment without `instrument_id` counts with its customer's other payments without one. One
    without a place, country or payee adds none to the count of these. A figure is null when its
    window is shorter than the precision of the payment's time.

    >>> rows = [("e1", 10, "m1"), ("e2", 69, "m2"), ("e3", 70, "m1")]
    >>> payments = spark.createDataFrame(rows, "event_id string, at long, counterparty_id string")
    >>> payments = payments.selectExpr(
    ...     "*", "'shop' source_system", "0L source_sequence", "timestamp_seconds(at) event_at",
    ...     "'second' event_at_precision", "'c1' customer_id", "'k1' instrument_id", "'FR' country",
    ...     "48.9D transaction_lat", "2.4D transaction_lon"
    ... )
    >>> figures = with_velocities(payments).sort("event_at")
    >>> [row.card_transaction_count_60s for row in figures.collect()]
    [1, 2, 2]
    """
    has_place = F.col("transaction_lat").isNotNull() & F.col("transaction_lon").isNotNull()
    customer_without_card = F.when(F.col("instrument_id").isNull(), F.col("customer_id"))
    of_card = Window.partitionBy("source_system", "instrument_id", customer_without_card)
    in_order = of_card.orderBy("_micros", "source_sequence", "event_id")
    longest = of_card.orderBy("_micros").rangeBetween(
        1 - max(VELOCITY_SECONDS) * _MICROS, Window.currentRow
    )
    rows = payments.withColumns(
        {
            "_micros": F.unix_micros("event_at"),
            "_city": F.when(has_place, F.struct("transaction_lat", "transaction_lon")),
            "_country": F.col("country"),
            "_merchant": F.col("counterparty_id"),
        }
    ).withColumn("_position", F.row_number().over(in_order))
    # The range ends with all payments at the instant of the row; those after it are left out below.
    recent = F.collect_list(F.struct("_position", "_micros", *_DISTINCT)).over(longest)
    rows = rows.withColumn("_recent", recent)
    figures = {
        velocity(name, seconds): _count(name, seconds)
        for seconds in VELOCITY_SECONDS
        for name in VELOCITY_COUNTS
    }
    hour = F.when(_is_as_precise_as(3_600), local_hour_of_day("event_at", "transaction_lon"))
    return rows.withColumns({**figures, "local_hour_of_day": hour}).drop(*_HELPERS)


def local_hour_of_day(event_at: str, longitude: str) -> Column:
    """Return the hour in solar time of a time at a longitude, 0 to 23; null without one.

    Sources have no time zones of places. Solar time differs from most legal times by less than two
    hours.

    >>> times = spark.sql("SELECT timestamp '2024-05-01 01:30:00' at, -80.2D lon")
    >>> times.select(local_hour_of_day("at", "lon").alias("hour")).first().hour
    20
    """
    shift = F.round(F.col(longitude) * _DEGREE_SECONDS).cast("bigint")
    seconds = F.pmod(F.unix_seconds(event_at) + shift, F.lit(_DAY_SECONDS))
    return F.floor(seconds / 3_600).cast("int")


def _count(name: str, seconds: int) -> Column:
    first = F.col("_micros") - seconds * _MICROS
    position = F.col("_position")

    def is_inside(payment: Column) -> Column:
        return (payment["_micros"] > first) & (payment["_position"] <= position)

    inside = F.filter("_recent", is_inside)
    if name != _PAYMENTS:
        values = F.transform(inside, lambda payment: payment[f"_{name}"])
        inside = F.array_distinct(F.filter(values, lambda value: value.isNotNull()))
    return F.when(_is_as_precise_as(seconds), F.size(inside))


def _is_as_precise_as(seconds: int) -> Column:
    precise = [name for name, step in _PRECISION_SECONDS.items() if step <= seconds]
    return F.col("event_at_precision").isin(precise)
