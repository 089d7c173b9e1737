"""Accounts of the messages of a stream, and the days that are complete."""

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.settings import Settings
from sources.manifest import RawObject
from sources.store import s3_client
from sources.stream_batches import (
    Account,
    Batch,
    Positions,
    Progress,
    read_progress,
    write_batch,
    write_progress,
)

OBJECT = RawObject(
    key="simulator/stream/2026-01-01/0-0-9.jsonl",
    name="2026-01-01/0-0-9.jsonl",
    bytes=900,
    sha256="0a",
    landed_at=datetime(2026, 1, 1, 12, 30, 1, 250_000, UTC),
    schema_version=1,
    rows=10,
    row_counts={"KWD": 10},
    amounts={"KWD": Decimal("1.250")},
    columns={"amount": "string"},
)


@given(st.lists(st.lists(st.integers(0, 60), min_size=1), max_size=8), st.integers(0, 20))
def test_an_account_counts_each_message_whatever_order_its_outcomes_land_in(
    batches: list[list[int]], start: int
) -> None:
    account = Account(start, start)
    landed: list[int] = []
    for offsets in batches:
        above = sorted(start + offset for offset in offsets)
        ranges = tuple((offset, offset) for offset in above)
        account = account.plus(Positions(ranges, len(above), 0))
        landed += above
    end = max(landed, default=start - 1) + 1
    assert account.end == end
    assert account.sent == end - start
    assert account.repeated == len(landed) - len(set(landed))
    with_outcome = account.validated + account.rejected - account.repeated
    assert (with_outcome == account.sent) == (account.complete == end)
    assert account.complete == min(set(range(start, end + 1)) - set(landed))


def test_an_outcome_before_the_start_of_an_account_is_a_repeat() -> None:
    account = Account(10, 10).plus(Positions(((8, 11),), 4, 0))
    assert (account.complete, account.repeated) == (12, 2)


def test_a_batch_is_the_same_when_it_is_read_again() -> None:
    """Spark repeats a batch whose record exists already, and its record is compared."""
    batch = Batch(
        number=3,
        objects={date(2026, 1, 1): (OBJECT,)},
        positions={5: Positions(((0, 4), (7, 9)), 7, 1)},
        newest=datetime(2026, 1, 1, 12, tzinfo=UTC),
    )
    records = TypeAdapter(Batch)
    assert records.validate_json(records.dump_json(batch)) == batch


@pytest.mark.parametrize(
    ("newest", "zone", "days"),
    [
        (None, "UTC", ()),
        ("2026-01-02T00:59:59Z", "UTC", ()),
        ("2026-01-02T01:00:00Z", "UTC", (date(2026, 1, 1),)),
        ("2026-01-02T01:00:00Z", "America/New_York", ()),
        ("2026-01-02T06:00:00Z", "America/New_York", (date(2026, 1, 1),)),
        ("2026-01-05T00:00:00Z", "UTC", (date(2026, 1, 1), date(2026, 1, 3))),
    ],
)
def test_a_day_is_complete_an_hour_after_its_end(
    newest: str | None, zone: str, days: tuple[date, ...]
) -> None:
    objects = {date(2026, 1, day): (OBJECT,) for day in (1, 3)}
    at = datetime.fromisoformat(newest) if newest else None
    progress = Progress().plus(Batch(0, objects, {}, at), {})
    assert progress.complete_days(zone) == days
    assert progress.without(date(2026, 1, 1)).pending == {date(2026, 1, 3): (OBJECT,)}


@pytest.mark.stack
def test_a_run_reads_the_newest_progress_and_the_batches_after_it(s3: Settings) -> None:
    """It makes as many requests as it reads records, and two to find them."""
    client, raw, requests = s3_client(s3, "lander"), s3.s3.raw_bucket, Counter[str]()
    store = (client, raw, f"stream-{uuid4().hex}")

    def count(model: Any, **_: Any) -> None:
        requests[model.name] += 1

    assert read_progress(*store, {}) == Progress()
    for number in range(103):
        write_batch(*store, Batch(number, {}, {0: Positions(((number, number),), 1, 0)}, None))
    for number in (0, 9, 10, 98, 99):
        account = Account(0, number + 1, validated=number + 1)
        write_progress(*store, Progress(number, {0: account}))

    client.meta.events.register("before-call.s3", count)
    progress = read_progress(*store, {})

    assert (progress.batch, progress.accounts[0].validated) == (102, 103)
    assert requests == {"ListObjectsV2": 2, "GetObject": 4}
