import json
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from simulator.days import Delivery, Format, deliver
from simulator.dirt import KINDS, Outcome, reason_of
from simulator.payments import CHANNELS, METHODS
from simulator.places import COUNTRIES
from simulator.rows import Feed
from simulator.settings import DirtSettings
from simulator.world import World
from sources.currencies import ISO_4217

_DAY = 9
_RATE = 0.01
_COUNTRIES = {country.code for country in COUNTRIES}


@pytest.fixture(scope="module")
def dirty(world: World) -> World:
    """A world with a hundredth of the rows for each kind of dirt."""
    dirt = DirtSettings(rates={kind.name: _RATE for kind in KINDS})
    return replace(world, settings=replace(world.settings, dirt=dirt))


def _lines(delivery: Delivery) -> list[str]:
    return [line for lines in delivery.lines for line in lines.to_pylist()]


def _refused(line: str, delivered: str, known: dict[str, Any]) -> bool:
    """Return whether a strict reader refuses a line; `known` are the payments before it."""
    try:
        row = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode()
    except (json.JSONDecodeError, UnicodeEncodeError):
        return True
    if any(row.get(name) is None for name in ("transaction_id", "customer_id", "currency")):
        return True
    if not isinstance(row.get("amount"), int | float) or row["amount"] > 1e9:
        return True
    try:
        datetime.fromisoformat(row.get("timestamp") or "")
    except ValueError:
        return True
    codes = (
        (row["currency"], ISO_4217),
        (row["country"], _COUNTRIES),
        (row["channel"], CHANNELS),
        (row["payment_method"], METHODS),
    )
    if any(value not in allowed for value, allowed in codes):
        return True
    if not "2000" < row["timestamp"] < delivered or "\0" in row["merchant_id"]:
        return True
    return bool(known.setdefault(row["transaction_id"], row) != row)


def test_a_strict_reader_refuses_what_the_ledger_says(dirty: World, feed: Feed) -> None:
    delivery = deliver(dirty, feed, _DAY, "jsonl")
    end_of_day = str(dirty.date(_DAY + 1))
    known: dict[str, Any] = {}
    refused = {
        number for number, line in enumerate(_lines(delivery)) if _refused(line, end_of_day, known)
    }
    declared = {entry.row for entry in delivery.ledger if entry.outcome is Outcome.QUARANTINED}
    assert len(refused & declared) / len(refused) >= 0.99
    assert len(refused & declared) / len(declared) >= 0.99


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_each_kind_has_its_declared_rate(dirty: World, feed: Feed, file_format: Format) -> None:
    delivery = deliver(dirty, feed, _DAY, file_format)
    counts = Counter(entry.kind for entry in delivery.ledger)
    for kind in KINDS:
        if kind.json_only and file_format == "parquet":
            assert counts[kind.name] == 0
        else:
            assert 0.5 * _RATE < counts[kind.name] / delivery.rows < 1.5 * _RATE, kind.name


def test_the_ledger_names_the_row_and_the_payment(dirty: World, feed: Feed) -> None:
    delivery = deliver(dirty, feed, _DAY, "parquet")
    assert delivery.columns is not None
    ids = delivery.columns["transaction_id"].to_pylist()
    for entry in delivery.ledger:
        assert entry.row is not None
        assert entry.file == "2026-01-10.parquet"
        assert entry.field == "transaction_id" or ids[entry.row] == entry.transaction_id
        assert (entry.reason is not None) == (entry.outcome is Outcome.QUARANTINED)
        assert entry.reason == reason_of(entry.kind, entry.field)
        assert json.loads(entry.line())["row"] == entry.row


def test_repeats_follow_their_original_and_conflicts_differ(dirty: World, feed: Feed) -> None:
    delivery = deliver(dirty, feed, _DAY, "jsonl")
    lines = _lines(delivery)
    first: dict[str, int] = {}
    for number, line in enumerate(lines):
        identifier = re.search('"transaction_id":"(T[0-9a-f]+)"', line)
        if identifier:
            first.setdefault(identifier[1], number)
    for entry in delivery.ledger:
        if entry.kind.endswith("_duplicate"):
            original = first[str(entry.transaction_id)]
            assert original < entry.row
            assert (lines[original] == lines[entry.row]) == (entry.kind == "exact_duplicate")


def test_late_rows_are_one_to_72_hours_old_and_rows_are_out_of_order(
    dirty: World, feed: Feed
) -> None:
    delivery = deliver(dirty, feed, _DAY, "parquet")
    assert delivery.columns is not None
    times = delivery.columns["timestamp"].to_pylist()
    late = {entry.row for entry in delivery.ledger if entry.kind == "late"}
    dates = Counter(times[row][:10] for row in late if row is not None)
    assert set(dates) == {f"2026-01-{day:02d}" for day in (7, 8, 9, 10)}
    dirty_rows = {entry.row for entry in delivery.ledger}
    clean = [time for row, time in enumerate(times) if row not in dirty_rows]
    assert all(earlier <= later for earlier, later in pairwise(clean))
    moved = [entry.row for entry in delivery.ledger if entry.kind == "out_of_order"]
    assert sum(times[row] < times[row - 1] for row in moved if row) > 0.8 * len(moved)


def test_the_first_day_has_no_row_before_the_world(dirty: World, feed: Feed) -> None:
    delivery = deliver(dirty, feed, 0, "parquet")
    assert delivery.columns is not None
    plausible = [t for t in delivery.columns["timestamp"].to_pylist() if t and t[:2] == "20"]
    assert min(plausible) >= "2026-01-01"
