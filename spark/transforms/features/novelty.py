"""What a customer does for the first time in a while.

Source: Van Vlasselaer et al., APATE, Decision Support Systems 75, 2015 (recency of customer and
merchant), with a horizon of `HISTORY_DAYS`.
"""

from collections.abc import Set
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from contracts.features import PAYEE_WINDOW_DAYS
from spark.transforms.features.frames import CUSTOMER, DAY, ORDER, oldest

NOVELTIES: Final = {
    "merchant": "counterparty_id",
    "category": "merchant_category",
    "country": "country",
    "device": "device_id",
}


def with_novelty(payments: DataFrame, wanted: Set[str]) -> DataFrame:
    """Add whether each thing is new to the customer, and drop what tells things apart.

    Of counterparties it also adds where a payer's presence begins and ends (`presence`).
    """
    for name, thing in NOVELTIES.items():
        if f"is_new_{name}" not in wanted:
            continue
        pair = Window.partitionBy(*CUSTOMER, thing).orderBy(*ORDER)
        columns = {"last_micros": F.lag("micros").over(pair)}
        if name == "merchant":
            columns["next_micros"] = F.lead("micros").over(pair)
        told = {
            f"is_new_{name}": F.when(
                F.col(thing).isNotNull(),
                ~F.coalesce(F.col("last_micros") > oldest(), F.lit(False)),
            )
        }
        if name == "merchant":
            told |= presence(F.col("last_micros"), F.col("next_micros"))
        payments = payments.withColumns(columns).withColumns(told).drop(*columns)
        if thing != "counterparty_id":
            payments = payments.drop(thing)
    return payments


def presence(last: Column, following: Column) -> dict[str, Column]:
    """Return, for each window, whether a payer's presence at a payee begins here or ends with it.

    A payment at s makes its payer present in [s, s + w), and until a later one of the same payer at
    least. `last` and `following` are the times of the payer's payments there before and after.
    """
    micros, columns = F.col("micros"), {}
    for days in PAYEE_WINDOW_DAYS:
        width = days * DAY
        is_first = last.isNull() | (last <= micros - width)
        is_final = following.isNull() | (following >= micros + width)
        columns[f"begins_{days}d"] = is_first.cast("int")
        columns[f"ends_{days}d"] = is_final.cast("int")
    return columns
