"""Velocities of cards, by hand and against a count by definition in plain Python."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from contracts.fraud_rules import VELOCITIES, VELOCITY_SECONDS
from contracts.tables import TABLES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
PARIS, LYON, NEW_YORK = (48.9, 2.4), (45.8, 4.8), (40.7, -74.0)
NOWHERE = (None, None)
_PRECISION_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "ordinal": 10**6}
_TYPES = {
    "event_id": "string",
    "source_system": "string",
    "source_sequence": "long",
    "event_at": "timestamp",
    "event_at_precision": "string",
    "customer_id": "string",
    "instrument_id": "string",
    "counterparty_id": "string",
    "amount": "decimal(20,4)",
    "currency": "string",
    "country": "string",
    "transaction_lat": "double",
    "transaction_lon": "double",
}
assert set(_TYPES) <= set(TABLES["processed.transactions"].column_names)


def payment(event_id: str, seconds: float, **changes: Any) -> dict[str, Any]:
    """Return a payment some seconds after noon; `place` is its latitude and longitude."""
    lat, lon = changes.pop("place", PARIS)
    return {
        "event_id": event_id,
        "source_system": "shop",
        "source_sequence": 0,
        "event_at": NOON + timedelta(seconds=seconds),
        "event_at_precision": "second",
        "customer_id": "c1",
        "instrument_id": "k1",
        "counterparty_id": "m1",
        "amount": Decimal("9.5000"),
        "currency": "EUR",
        "country": "FR",
        "transaction_lat": lat,
        "transaction_lon": lon,
        **changes,
    }


def figures(spark: "SparkSession", rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the figures of each payment that Spark computes."""
    from spark.transforms.features.velocity import with_velocities

    schema = ", ".join(f"{name} {kind}" for name, kind in _TYPES.items())
    frame = spark.createDataFrame([tuple(row[name] for name in _TYPES) for row in rows], schema)
    computed = with_velocities(frame)
    assert set(computed.columns) == {"event_id", "source_system", *VELOCITIES}
    return {row["event_id"]: {name: row[name] for name in VELOCITIES} for row in computed.collect()}


def test_figures_of_a_few_payments_counted_by_hand(spark: "SparkSession") -> None:
    rows = [
        payment("first", 0),
        payment("other card", 1, instrument_id="k2", place=LYON),
        payment("other source", 1, source_system="bank", place=LYON),
        payment("no card", 2, instrument_id=None),
        payment("token of the customer", 3, instrument_id="c1"),
        payment("59 s", 59, place=LYON, counterparty_id="m2"),
        payment("60 s", 60, place=NEW_YORK, country="US", counterparty_id="m1"),
        payment("tie 2", 60, source_sequence=2, place=NOWHERE, country=None, counterparty_id=None),
        payment("tie 1", 60, source_sequence=1, counterparty_id="m3"),
        payment("5 min", 300, counterparty_id="m4"),
        payment("1 h", 3_600.999999, instrument_id="k2"),
        payment("no card later", 3_601, instrument_id=None, country="US", place=NEW_YORK),
    ]

    found = figures(spark, rows)

    def counts(event_id: str, seconds: int) -> list[int]:
        names = ("transaction", "city", "country", "merchant")
        return [found[event_id][f"card_{name}_count_{seconds}s"] for name in names]

    for alone in ("first", "other card", "other source", "no card", "token of the customer"):
        assert [counts(alone, seconds) for seconds in VELOCITY_SECONDS] == [[1, 1, 1, 1]] * 3
    assert counts("59 s", 60) == [2, 2, 1, 2]
    assert found["59 s"]["card_amount_sum_60s"] == Decimal("19.0000")
    # The payment at noon is 60 seconds ago, and no longer in the window.
    assert counts("60 s", 60) == [2, 2, 2, 2]
    assert counts("60 s", 300) == [3, 3, 2, 2]
    # Payments of the same instant are in the order of the source, and follow each other.
    assert counts("tie 1", 60) == [3, 3, 2, 3]
    assert counts("tie 2", 60) == [4, 3, 2, 3]
    assert counts("5 min", 60) == [1, 1, 1, 1]
    assert counts("5 min", 300) == [5, 3, 2, 4]
    assert counts("5 min", 3_600) == [6, 3, 2, 4]
    assert counts("1 h", 3_600) == [2, 2, 1, 1]
    assert counts("no card later", 3_600) == [2, 2, 2, 1]
    assert found["first"]["local_hour_of_day"] == 12
    assert found["60 s"]["local_hour_of_day"] == 7
    assert found["tie 2"]["local_hour_of_day"] is None


def test_figures_that_are_finer_than_the_times_of_the_source_are_unknown(
    spark: "SparkSession",
) -> None:
    rows = [
        payment(f"{precision} {n}", 0, source_system=precision, event_at_precision=precision)
        for precision in _PRECISION_SECONDS
        for n in (1, 2)
    ]

    found = figures(spark, rows)

    counts = {
        precision: [
            found[f"{precision} 2"][f"card_transaction_count_{seconds}s"]
            for seconds in VELOCITY_SECONDS
        ]
        for precision in _PRECISION_SECONDS
    }
    assert counts == {
        "second": [2, 2, 2],
        "minute": [2, 2, 2],
        "hour": [None, None, 2],
        "ordinal": [None, None, None],
    }
    assert [found[f"{name} 1"]["local_hour_of_day"] for name in counts] == [12, 12, 12, None]


def test_the_local_hour_follows_the_sun(spark: "SparkSession") -> None:
    local = {
        (0, 0.0): 0,
        (0, -0.1): 23,
        (23, 14.9): 23,
        (23, 15.0): 0,
        (12, 180.0): 0,
        (12, -180.0): 0,
        (5, -74.0): 0,
    }
    rows = [
        payment(f"{hour} {longitude}", (hour - 12) * 3_600, place=(0.0, longitude))
        for hour, longitude in local
    ]

    found = figures(spark, rows)

    assert {name: row["local_hour_of_day"] for name, row in found.items()} == {
        f"{hour} {longitude}": expected for (hour, longitude), expected in local.items()
    }


def test_random_payments_have_the_figures_of_the_definition(spark: "SparkSession") -> None:
    rng = random.Random(17)
    rows = [
        payment(
            f"e{n:03}",
            rng.choice([rng.randrange(600), rng.randrange(12_000), rng.random() * 900]),
            source_sequence=rng.randrange(3),
            source_system=rng.choice(["shop", "shop", "bank"]),
            customer_id=rng.choice(["c1", "c2"]),
            instrument_id=rng.choice([None, "k1", "k2"]),
            event_at_precision=rng.choice(["second"] * 8 + ["minute", "hour", "ordinal"]),
            counterparty_id=rng.choice([None, "m1", "m2", "m3", "m4"]),
            amount=Decimal(rng.choice(["0.0000", "9.5000", "1234567890123.4567"])),
            currency=rng.choice(["EUR", "EUR", "USD"]),
            country=rng.choice([None, "FR", "US"]),
            place=rng.choice([PARIS, LYON, NEW_YORK, (48.9, 4.8), (48.9, None), NOWHERE]),
        )
        for n in range(300)
    ]

    found = figures(spark, rows)

    assert found == {row["event_id"]: defined(row, rows) for row in rows}


def defined(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of a payment by their definition."""

    def order(one: Mapping[str, Any]) -> tuple[Any, ...]:
        return one["event_at"], one["source_sequence"], one["event_id"]

    def card(one: Mapping[str, Any]) -> tuple[Any, ...]:
        return one["source_system"], one["customer_id"], one["instrument_id"]

    precision = _PRECISION_SECONDS[row["event_at_precision"]]
    so_far = [one for one in rows if card(one) == card(row) and order(one) <= order(row)]
    result: dict[str, Any] = dict.fromkeys(VELOCITIES)
    for seconds in VELOCITY_SECONDS:
        if precision > seconds:
            continue
        start = row["event_at"] - timedelta(seconds=seconds)
        recent = [one for one in so_far if one["event_at"] > start]
        places = {(one["transaction_lat"], one["transaction_lon"]) for one in recent}
        distinct = {
            "transaction": {one["event_id"] for one in recent},
            "city": {place for place in places if None not in place},
            "country": {one["country"] for one in recent} - {None},
            "merchant": {one["counterparty_id"] for one in recent} - {None},
        }
        for name, values in distinct.items():
            result[f"card_{name}_count_{seconds}s"] = len(values)
        money = (one["amount"] for one in recent if one["currency"] == row["currency"])
        result[f"card_amount_sum_{seconds}s"] = sum(money, Decimal(0))
    if row["transaction_lon"] is not None and precision <= 3_600:
        local = row["event_at"] + timedelta(hours=row["transaction_lon"] / 15)
        result["local_hour_of_day"] = local.hour
    return result
