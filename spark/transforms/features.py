"""Point-in-time features, by growing frames over integers.

A window (t - w, t] is the difference of two growing frames, "all up to t" and "all up to t - w".
Growing frames need one pass each, and sums of integers do not depend on their order, so a whole
history and a day of it give the same bits. Names, windows and meaning: `contracts/features.py`.
"""

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from contracts.features import (
    CUSTOMER_WINDOW_DAYS,
    HISTORY_DAYS,
    LABEL_DELAY_DAYS,
    MERCHANT_WINDOW_DAYS,
)

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_EARTH_RADIUS_KM = 6371.0088
_CUSTOMER = ("source_system", "customer_id")
_MERCHANT = ("source_system", "counterparty_id")
_ORDER = ("micros", "source_sequence", "event_id")


def distance_km(lat_a: Column, lon_a: Column, lat_b: Column, lon_b: Column) -> Column:
    """Return the great-circle distance of two places in kilometres, to the metre.

    The haversine formula on the mean radius of the Earth (IUGG).

    >>> args = [F.lit(float(x)) for x in (0, 0, 0, 1)]
    >>> spark.range(1).select(distance_km(*args).alias("km")).first()
    Row(km=111.195)
    """
    half_lat = F.sin(F.radians(lat_b - lat_a) / 2)
    half_lon = F.sin(F.radians(lon_b - lon_a) / 2)
    across = F.cos(F.radians(lat_a)) * F.cos(F.radians(lat_b)) * half_lon * half_lon
    square = half_lat * half_lat + across
    chord = F.when(square > 1, 1.0).otherwise(square)
    return F.round(2 * _EARTH_RADIUS_KM * F.asin(F.sqrt(chord)), 3)


def _growing(partition: tuple[str, ...], key: str, until: int) -> WindowSpec:
    """Return the frame of all rows whose `key` is at most the row's own plus `until`."""
    ordered = Window.partitionBy(*partition).orderBy(key)
    return ordered.rangeBetween(Window.unboundedPreceding, until)


def _total(value: Column, frame: WindowSpec) -> Column:
    return F.coalesce(F.sum(value).over(frame), F.lit(0))


def customer_windows(payments: DataFrame) -> DataFrame:
    """Add count and cents of the customer's windows, and how long ago what was seen.

    `payments` has `micros` (time in microseconds) and `cents` (money in hundredths).
    """
    ordered = Window.partitionBy(*_CUSTOMER).orderBy(*_ORDER)
    so_far = ordered.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    columns: dict[str, Column] = {
        "seen_count": F.count(F.lit(1)).over(so_far),
        "seen_cents": F.sum("cents").over(so_far),
        "last_micros": F.lag("micros").over(ordered),
    }
    for name, other in (("merchant", "counterparty_id"), ("category", "merchant_category")):
        pair = Window.partitionBy(*_CUSTOMER, other).orderBy(*_ORDER)
        columns[f"last_{name}_micros"] = F.lag("micros").over(pair)
    for days in CUSTOMER_WINDOW_DAYS:
        before = _growing(_CUSTOMER, "micros", -days * _DAY)
        columns[f"before_count_{days}d"] = F.count(F.lit(1)).over(before)
        columns[f"before_cents_{days}d"] = _total(F.col("cents"), before)
    return payments.withColumns(columns)


def merchant_windows(payments: DataFrame) -> DataFrame:
    """Add count and known frauds of the counterparty's delayed windows.

    `payments` has `micros` and `fraud_micros`, when the payment became known as fraud, or null.
    A fraud at s, known at k, counts for payments in [max(s + delay, k), s + delay + window): it is
    a step up and a step down, summed by a growing frame. Steps at a payment's own instant come
    before it: the order key is twice the time, plus one for payments.
    """
    delay = LABEL_DELAY_DAYS * _DAY
    steps = [f"step_{days}d" for days in MERCHANT_WINDOW_DAYS]

    def moment(micros: Column, is_payment: int, values: dict[str, int]) -> Column:
        return F.struct(
            (micros * 2 + is_payment).alias("moment"),
            F.lit(is_payment).alias("is_payment"),
            *(F.lit(values.get(step, 0)).alias(step) for step in steps),
        )

    itself = moment(F.col("micros"), 1, {})
    starts = F.greatest(F.col("micros") + delay, F.col("fraud_micros"))
    moves = []
    for days, step in zip(MERCHANT_WINDOW_DAYS, steps, strict=True):
        ends = F.col("micros") + delay + days * _DAY
        is_seen = starts < ends
        moves += [
            F.when(is_seen, moment(starts, 0, {step: 1})),
            F.when(is_seen, moment(ends, 0, {step: -1})),
        ]
    is_fraud = F.col("fraud_micros").isNotNull()
    moments = F.when(is_fraud, F.array_compact(F.array(itself, *moves))).otherwise(F.array(itself))
    rows = payments.select("*", F.inline(moments))
    columns = {
        f"frauds_{days}d": _total(F.col(step), _growing(_MERCHANT, "moment", 0))
        for days, step in zip(MERCHANT_WINDOW_DAYS, steps, strict=True)
    }
    for days in (0, *MERCHANT_WINDOW_DAYS):
        until = -2 * (delay + days * _DAY)
        frame = _growing(_MERCHANT, "moment", until)
        columns[f"paid_until_{days}d"] = _total(F.col("is_payment"), frame)
    return rows.withColumns(columns).filter(F.col("is_payment") == 1)


def features(transactions: DataFrame, labels: DataFrame) -> DataFrame:
    """Return the declared features of each payment, from these payments and labels alone.

    A payment's values are right when the frames hold the `LOOKBACK_DAYS` before it.
    """
    frauds = (
        labels.filter("is_fraud")
        .groupBy("source_system", "event_id")
        .agg(F.min(F.unix_micros("known_at")).alias("fraud_micros"))
    )
    payments = transactions.select(
        "*",
        F.unix_micros("event_at").alias("micros"),
        (F.col("amount") * 100).cast("bigint").alias("cents"),
    ).join(F.broadcast(frauds), on=["source_system", "event_id"], how="left")
    return merchant_windows(customer_windows(payments)).withColumns(_finished())


def _finished() -> dict[str, Column]:
    """Return the features as expressions over the two windows' columns."""
    micros, has_merchant = F.col("micros"), F.col("counterparty_id").isNotNull()
    oldest = micros - HISTORY_DAYS * _DAY
    since = micros - F.col("last_micros")
    columns = {
        "hour_of_day": F.hour("event_at"),
        "is_weekend": F.weekday("event_at") >= 5,
        "is_night": F.hour("event_at") <= 6,
        "time_since_last_seconds": F.when(
            F.col("last_micros") > oldest, F.floor(since / F.lit(_SECOND))
        ),
        "home_distance_km": distance_km(
            F.col("home_lat"),
            F.col("home_lon"),
            F.col("transaction_lat"),
            F.col("transaction_lon"),
        ),
        "is_new_merchant": ~F.coalesce(F.col("last_merchant_micros") > oldest, F.lit(False)),
        "is_new_category": ~F.coalesce(F.col("last_category_micros") > oldest, F.lit(False)),
    }
    for days in CUSTOMER_WINDOW_DAYS:
        count = F.col("seen_count") - F.col(f"before_count_{days}d")
        cents = F.col("seen_cents") - F.col(f"before_cents_{days}d")
        columns[f"customer_transaction_count_{days}d"] = count
        columns[f"customer_amount_mean_{days}d"] = cents / (count * 100)
        if days == HISTORY_DAYS:
            ratio = F.col("cents") * count / cents
            columns["amount_to_mean_ratio"] = F.when(cents == 0, 1.0).otherwise(ratio)
    for days in MERCHANT_WINDOW_DAYS:
        paid = F.col("paid_until_0d") - F.col(f"paid_until_{days}d")
        count = F.when(has_merchant, paid).otherwise(0)
        columns[f"merchant_transaction_count_{days}d"] = count
        columns[f"merchant_fraud_share_{days}d"] = F.when(
            count > 0, F.col(f"frauds_{days}d") / count
        ).otherwise(0.0)
    return columns
