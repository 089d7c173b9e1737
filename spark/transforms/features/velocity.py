"""Velocities of a card over minutes, and the local hour: figures of the rules of fraud.

`contracts/fraud_rules.py` declares the figures (`VELOCITIES`). Velocity as a sign of fraud: Bahnsen
et al., Expert Systems with Applications 51, 2016.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from contracts.fraud_rules import VELOCITIES, VELOCITY_SECONDS, velocity
from contracts.render.to_arrow import arrow_type
from contracts.render.to_spark import SPARK_TYPES
from spark.transforms.features.groups import (
    DAY,
    HOUR,
    SECOND,
    Flags,
    Groups,
    Ints,
    amounts_of,
    codes_of,
    in_order,
    integers,
    money_of,
)

VELOCITY_INPUTS: Final = (
    "event_id",
    "source_system",
    "source_sequence",
    "event_at",
    "event_at_precision",
    "customer_id",
    "instrument_id",
    "counterparty_id",
    "amount",
    "currency",
    "country",
    "transaction_lat",
    "transaction_lon",
)
_DISTINCT: Final = {
    "city": ("transaction_lat", "transaction_lon"),
    "country": ("country",),
    "merchant": ("counterparty_id",),
}
_DEGREE_SECONDS: Final = 240
"""The Earth turns by one degree in four minutes."""
_PRECISION_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3_600}
"""Seconds between two times of a precision. Times of the other precision are no clock times."""
_KEY: Final = ("event_id", "source_system")


def with_velocities(payments: DataFrame) -> DataFrame:
    """Return `event_id`, `source_system` and the figures `VELOCITIES` of payments.

    `payments` has rows of processed.transactions, with all payments of the hour before each payment
    whose figures are used.

    >>> payments = spark.sql(
    ...     "SELECT 'e1' event_id, 'shop' source_system, 0L source_sequence, 'c1' customer_id,"
    ...     " timestamp '2024-05-01 01:30:00' event_at, 'second' event_at_precision, 'm1'"
    ...     " counterparty_id, 'k1' instrument_id, CAST(9.5 AS decimal(20, 4)) amount, 'EUR'"
    ...     " currency, 'US' country, 25.8D transaction_lat, -80.2D transaction_lon"
    ... )
    >>> row = with_velocities(payments).first()
    >>> row.card_transaction_count_60s, row.card_amount_sum_60s, row.local_hour_of_day
    (1, Decimal('9.5000'), 20)
    """
    rows = payments.select(*VELOCITY_INPUTS).repartition("source_system", "customer_id")
    figures = ", ".join(f"{name} {SPARK_TYPES[one.type]}" for name, one in VELOCITIES.items())
    return rows.mapInArrow(_of_task, f"event_id string, source_system string, {figures}")


def velocities(rows: pa.Table) -> dict[str, pa.Array]:
    """Return the figures `VELOCITIES` of the `VELOCITY_INPUTS` of payments.

    The payments are in order (`groups.in_order`). A payment without a place, country or payee adds
    none to the count of these. A figure is null when its window is shorter than the precision of
    the payment's time.
    """
    micros = integers(rows, "event_at")
    groups = Groups.of(_cards(rows), micros)
    in_currency = groups.within(codes_of(rows, "currency"))
    sums = in_currency.running(money_of(rows, "amount"))
    kinds = {name: groups.within(codes_of(rows, *of)) for name, of in _DISTINCT.items()}
    figures = {}
    for seconds in VELOCITY_SECONDS:
        is_known = _is_as_precise_as(rows, seconds)
        start = groups.before(seconds * SECOND)
        counts = {"transaction": groups.through() - start}
        counts |= {name: _distinct(groups, values, start) for name, values in kinds.items()}
        for name, count in counts.items():
            figures[velocity(name, seconds)] = _where(is_known, groups.placed(count))
        since = in_currency.before(seconds * SECOND)
        money = sums[in_currency.through()] - sums[since]
        total = amounts_of(*map(in_currency.placed, money.T))
        figures[f"card_amount_sum_{seconds}s"] = _where(is_known, total)
    hour = local_hour_of_day(micros, rows["transaction_lon"])
    figures["local_hour_of_day"] = _where(_is_as_precise_as(rows, 3_600), hour)
    return {name: figures[name].cast(arrow_type(one.type)) for name, one in VELOCITIES.items()}


def local_hour_of_day(micros: Ints, longitude: pa.ChunkedArray) -> pa.Array:
    """Return the hour in solar time of times at longitudes, 0 to 23; null without a longitude.

    Sources have no time zones of places. Solar time differs from most legal times by less than two
    hours.

    >>> local_hour_of_day(np.array([0, 0]), pa.chunked_array([[-0.1, None]])).to_pylist()
    [23, None]
    """
    degrees = pc.fill_null(longitude, 0.0).to_numpy()
    shift = np.floor(degrees * _DEGREE_SECONDS + 0.5).astype(np.int64) * SECOND
    return pa.array((micros + shift) % DAY // HOUR, mask=longitude.is_null().to_numpy())


def _of_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    task_batches = list(batches)
    if task_batches:
        rows = in_order(pa.Table.from_batches(task_batches))
        figures = velocities(rows)
        yield from pa.table({**{name: rows[name] for name in _KEY}, **figures}).to_batches()


def _cards(rows: pa.Table) -> Ints:
    """Return an integer for each card of a customer."""
    card = pc.fill_null(rows["instrument_id"], "")
    of_card = rows.set_column(rows.column_names.index("instrument_id"), "instrument_id", card)
    return codes_of(of_card, "source_system", "customer_id", "instrument_id")


def _distinct(groups: Groups, values: Groups, start: Ints) -> Ints:
    """Return the number of distinct values in the window of each grouped row.

    `values` divides the groups by value, and `start` is the number of rows before each window. A
    row counts from itself on, until its value occurs again or it leaves the window.
    """
    count = len(groups.order)
    position = np.empty(groups.count, dtype=np.int64)
    position[groups.order] = np.arange(count)
    at = position[values.order]
    again = np.full(len(at), count)
    is_same = values.codes[1:] == values.codes[:-1]
    again[:-1][is_same] = at[1:][is_same]
    ends = np.minimum(again, np.searchsorted(start, at, side="right"))
    change = np.bincount(at, minlength=count + 1) - np.bincount(ends, minlength=count + 1)
    return np.cumsum(change)[:count]


def _is_as_precise_as(rows: pa.Table, seconds: int) -> Flags:
    precise = [name for name, step in _PRECISION_SECONDS.items() if step <= seconds]
    flags: Flags = pc.is_in(rows["event_at_precision"], pa.array(precise)).to_numpy()
    return flags


def _where(is_known: Flags, values: pa.Array) -> pa.Array:
    return pc.if_else(pa.array(is_known), values, pa.scalar(None, values.type))
