"""What the families share: keys, order, growing frames."""

from typing import Final

from pyspark.sql import Column, Window, WindowSpec
from pyspark.sql import functions as F

from contracts.features import HISTORY_DAYS

SECOND: Final = 1_000_000
"""Times are counted in microseconds, the resolution of the lake."""
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR
CUSTOMER: Final = ("source_system", "customer_id")
COUNTERPARTY: Final = ("source_system", "counterparty_id")
ORDER: Final = ("micros", "source_sequence", "event_id")
"""Payments of one instant follow each other as the source wrote them."""


def so_far(partition: tuple[str, ...], order: tuple[str, ...] = ORDER) -> WindowSpec:
    """Return the frame of all rows up to the row itself."""
    ordered = Window.partitionBy(*partition).orderBy(*order)
    return ordered.rowsBetween(Window.unboundedPreceding, Window.currentRow)


def growing(partition: tuple[str, ...], key: str, until: int) -> WindowSpec:
    """Return the frame of all rows whose `key` is at most the row's own plus `until`."""
    ordered = Window.partitionBy(*partition).orderBy(key)
    return ordered.rangeBetween(Window.unboundedPreceding, until)


def total(value: Column, frame: WindowSpec) -> Column:
    """Return the sum over a frame, 0 over an empty one."""
    return F.coalesce(F.sum(value).over(frame), F.lit(0))


def oldest() -> Column:
    """Return the instant at and before which a customer's history is forgotten."""
    return F.col("micros") - HISTORY_DAYS * DAY


def money(cents: Column) -> Column:
    """Return an amount from its hundredths.

    >>> spark.range(1).select(money(F.lit(1250)).alias("amount")).first()
    Row(amount=Decimal('12.50'))
    """
    return (cents.cast("decimal(20,0)") / 100).cast("decimal(18,2)")
