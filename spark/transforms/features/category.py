"""Delayed risk of a merchant category, over whole days.

There are few categories with very many payments each, so windows cover whole days and payments are
counted by day first: exact windows would cost much and gain little.
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.features import LABEL_DELAY_DAYS, MERCHANT_WINDOW_DAYS
from spark.transforms.features.counterparty import smoothed_share
from spark.transforms.features.groups import DAY, codes_of, integers

_KEY: Final = ("source_system", "merchant_category")
_WIDTH: Final = max(MERCHANT_WINDOW_DAYS)
CATEGORY_RISK: Final = f"category_fraud_share_smoothed_{_WIDTH}d"


def counts_by_day(labelled: DataFrame) -> DataFrame:
    """Return the number of payments by category, day, and day on which they became known as fraud.

    `labelled` has `fraud_micros`. Days are UTC days from 1970-01-01, whatever the zone of the
    source: a fraud must not count before it is known. `known_day` is null for payments that are not
    known frauds.

    >>> payments = spark.sql(
    ...     "SELECT 'shop' source_system, 'food' merchant_category,"
    ...     " timestamp '1970-01-03 10:00:00' event_at, bigint(NULL) fraud_micros"
    ... )
    >>> counts_by_day(payments).first()[:]
    ('shop', 'food', 2, None, 1)
    """
    known_day = F.ceil(F.col("fraud_micros") / F.lit(DAY)).cast("bigint")
    day = F.floor(F.unix_micros("event_at") / F.lit(DAY)).cast("bigint")
    groups = labelled.filter(F.col("merchant_category").isNotNull()).groupBy(
        *_KEY, day.alias("day"), known_day.alias("known_day")
    )
    return groups.agg(F.count(F.lit(1)).alias("payments"))


def counts_of(rows: pa.Table) -> pa.Table:
    """Return the result of `counts_by_day` for a table with all payments of its categories.

    >>> payments = pa.table({"source_system": ["shop"], "merchant_category": ["food"]})
    >>> payments = payments.append_column("event_at", pa.array([2 * DAY], pa.timestamp("us")))
    >>> payments = payments.append_column("fraud_micros", pa.array([None], pa.int64()))
    >>> counts_of(payments).select(["day", "known_day", "payments"]).to_pylist()
    [{'day': 2, 'known_day': None, 'payments': 1}]
    """
    rows = rows.filter(rows["merchant_category"].is_valid())
    known = pc.fill_null(rows["fraud_micros"], -1).to_numpy()
    known_day = pa.array(-(-known // DAY), mask=known < 0)
    counted = pa.table(
        {
            **{name: rows[name].cast(pa.string()) for name in _KEY},
            "day": integers(rows, "event_at") // DAY,
            "known_day": known_day,
        }
    )
    groups = counted.group_by([*_KEY, "day", "known_day"]).aggregate([([], "count_all")])
    return groups.rename_columns({"count_all": "payments"})


def category_risk(rows: pa.Table, counts: pa.Table) -> pa.Array:
    """Return the smoothed fraud share of each payment's category, as known at the start of its day.

    The share of a payment of day d covers the `_WIDTH` days up to d - `LABEL_DELAY_DAYS` - 1.
    Source: see `smoothed_share`; the delay is that of the handbook's terminal risk. `counts` must
    have all payments of the categories. The share is null without a category.

    >>> key = {"source_system": ["shop"], "merchant_category": ["food"]}
    >>> counts = pa.table({**key, "day": [5], "known_day": [6], "payments": [100]})
    >>> rows = pa.table({**key, "event_at": pa.array([20 * DAY], pa.timestamp("us"))})
    >>> round(category_risk(rows, counts)[0].as_py(), 3)
    0.835
    """
    if not counts.num_rows:
        return pa.nulls(rows.num_rows, pa.float64())
    both = pa.concat_tables(
        [table.select(_KEY).cast(pa.schema([(name, pa.string()) for name in _KEY]))
         for table in (counts, rows)]
    )  # fmt: skip
    codes = codes_of(both, *_KEY)
    known, own = codes[: counts.num_rows], codes[counts.num_rows :]
    day, rows_day = integers(counts, "day"), integers(rows, "event_at") // DAY
    first = int(day.min())
    length = int(max(day.max(), rows_day.max(initial=first))) - first + 1
    payments = integers(counts, "payments")
    paid = np.zeros((int(codes.max()) + 1, length + 1), dtype=np.int64)
    np.add.at(paid, (known, day - first + 1), payments)
    paid = np.cumsum(paid, axis=1)  # the column of a day has the sum of the days before it
    # A fraud counts from the day on which it is known and past the delay, to the end of the window.
    frauds = np.zeros((len(paid), length + 1), dtype=np.int64)
    is_fraud = counts["known_day"].is_valid().to_numpy()
    last = day - first + LABEL_DELAY_DAYS + _WIDTH + 1
    since = np.maximum(
        day - first + LABEL_DELAY_DAYS + 1, pc.fill_null(counts["known_day"], 0).to_numpy() - first
    )
    counts_once = is_fraud & (since < last)
    for at, sign in ((since, 1), (last, -1)):
        place = (known[counts_once], np.minimum(at[counts_once], length))
        np.add.at(frauds, place, sign * payments[counts_once])
    frauds = np.cumsum(frauds, axis=1)
    has_category = own >= 0
    code, at = np.maximum(own, 0), rows_day - first
    until = np.clip(at - LABEL_DELAY_DAYS, 0, length)
    start = np.clip(at - LABEL_DELAY_DAYS - _WIDTH, 0, length)
    window = paid[code, until] - paid[code, start]
    share = smoothed_share(frauds[code, np.clip(at, 0, length)], window)
    return pa.array(share, mask=~has_category)
