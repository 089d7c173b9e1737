"""Windows over a customer's own payments.

Counts and means over days: the fraud-detection handbook (Le Borgne et al.), chapter 3, after Van
Vlasselaer et al., APATE, Decision Support Systems 75, 2015. Velocity over hours: Bahnsen et al.,
Expert Systems with Applications 51, 2016.
"""

from collections.abc import Set
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from contracts.features import CUSTOMER_WINDOW_DAYS, HISTORY_DAYS
from spark.transforms.features.frames import (
    CUSTOMER,
    DAY,
    HOUR,
    ORDER,
    SECOND,
    growing,
    money,
    oldest,
    so_far,
    total,
)
from spark.transforms.features.habits import (
    HABITS,
    amount_log_score,
    habit_terms,
    usual_hour_distance,
)
from spark.transforms.features.places import home_distance_km, located, travel_speed

_WIDTHS: Final = {"1h": HOUR, **{f"{days}d": days * DAY for days in CUSTOMER_WINDOW_DAYS}}
_HISTORY: Final = f"{HISTORY_DAYS}d"
_SPENT: Final = ("event_at_precision", "cents", "transaction_lat", "transaction_lon", "home_lat")


def with_customer_windows(payments: DataFrame, wanted: Set[str]) -> DataFrame:
    """Add the features of the customer's own payments.

    `payments` has `micros` (time in microseconds) and `cents` (money in hundredths).
    """
    rows = payments.withColumns(habit_terms())
    ordered = Window.partitionBy(*CUSTOMER).orderBy(*ORDER)
    until_now = so_far(CUSTOMER)
    columns: dict[str, Column] = {
        "last_micros": F.lag("micros").over(ordered),
        "seen_count": F.count(F.lit(1)).over(until_now),
        **{f"seen_{name}": F.sum(name).over(until_now) for name in ("cents", *HABITS)},
    }
    if "travel_speed_km_per_hour" in wanted:
        earlier = ordered.rowsBetween(Window.unboundedPreceding, -1)
        columns["last_located"] = F.last(located(), ignorenulls=True).over(earlier)
    # These first: their order, by time and more, serves the frames by time below.
    rows = rows.withColumns(columns)
    before: dict[str, Column] = {}
    for name, width in _WIDTHS.items():
        frame = growing(CUSTOMER, "micros", -width)
        before[f"count_before_{name}"] = F.count(F.lit(1)).over(frame)
        for measure in ("cents", *(HABITS if name == _HISTORY else ())):
            before[f"{measure}_before_{name}"] = total(F.col(measure), frame)
    rows = rows.withColumns(before)
    finished = {**_velocity(), **_habits(), **_places(wanted)}
    spent = {*columns, *before, *HABITS, *_SPENT, "home_lon"}
    return rows.withColumns(finished).drop(*spent)


def _velocity() -> dict[str, Column]:
    """Return counts, sums and means of the windows, and the time since the payment before."""
    since = F.col("micros") - F.col("last_micros")
    columns = {
        "time_since_last_seconds": F.when(
            F.col("last_micros") > oldest(), F.floor(since / F.lit(SECOND))
        ),
    }
    for name in _WIDTHS:
        count = F.col("seen_count") - F.col(f"count_before_{name}")
        cents = F.col("seen_cents") - F.col(f"cents_before_{name}")
        columns[f"customer_transaction_count_{name}"] = count
        if name == "1h":
            columns["customer_amount_sum_1h"] = money(cents)
            continue
        columns[f"customer_amount_mean_{name}"] = cents / (count * 100)
        if name == "1d":
            columns["customer_amount_sum_24h"] = money(cents)
        if name == _HISTORY:
            ratio = F.col("cents") * count / cents
            columns["amount_to_mean_ratio"] = F.when(cents == 0, 1.0).otherwise(ratio)
    return columns


def _habits() -> dict[str, Column]:
    """Return how odd amount and hour are beside the customer's history without this payment."""
    count = F.col("seen_count") - F.col(f"count_before_{_HISTORY}") - 1
    log, square, cos, sin = (
        F.col(f"seen_{name}") - F.col(f"{name}_before_{_HISTORY}") - F.col(name) for name in HABITS
    )
    return {
        "amount_log_score": amount_log_score(count, log, square, F.col("log")),
        "usual_hour_distance_hours": usual_hour_distance(
            count, cos, sin, F.col("clock_cos"), F.col("clock_sin")
        ),
    }


def _places(wanted: Set[str]) -> dict[str, Column]:
    columns = {}
    if "home_distance_km" in wanted:
        columns["home_distance_km"] = home_distance_km()
    if "travel_speed_km_per_hour" in wanted:
        columns["travel_speed_km_per_hour"] = travel_speed(F.col("last_located"))
    return columns
