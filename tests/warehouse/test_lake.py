"""Reading the lake: by ranges of days, at a snapshot, in the contract's types."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.render import to_arrow
from contracts.tables import TABLES
from lake import read as lake_reader
from lake.dates import date_ranges
from tests.warehouse.conftest import payment_row

_DAY = date(2024, 5, 1)


def test_consecutive_days_are_one_range() -> None:
    days = [_DAY + timedelta(days=n) for n in (2, 0, 1, 5, 7, 8, 8)]
    assert date_ranges(days) == [
        (date(2024, 5, 1), date(2024, 5, 3)),
        (date(2024, 5, 6), date(2024, 5, 6)),
        (date(2024, 5, 8), date(2024, 5, 9)),
    ]
    assert date_ranges([]) == []


def test_only_the_days_asked_for_come_in_declared_types(new_lake: Any) -> None:
    lake = new_lake()
    lake.publish("2024-05-01--2024-05-04")
    table = lake_reader.read_dates(
        lake.catalog, "processed.transactions", None, [_DAY, date(2024, 5, 3), date(2025, 1, 1)]
    ).read_all()
    assert table.schema == to_arrow.schema(TABLES["processed.transactions"])
    assert set(table["event_date"].to_pylist()) == {_DAY, date(2024, 5, 3)}
    assert len(table) == 24
    nothing = lake_reader.read_dates(lake.catalog, "processed.transactions", None, [])
    assert nothing.read_all().num_rows == 0


def test_rows_are_the_same_whether_files_are_wanted_whole_or_not(new_lake: Any) -> None:
    lake = new_lake()
    lake.publish("2024-05-01--2024-05-02")
    days, key = [_DAY, date(2024, 5, 2)], [("event_id", "ascending")]
    whole, chosen, none = (
        lake_reader.read_dates(lake.catalog, "processed.transactions", None, days, source)
        for source in (None, "sparkov", "handbook")
    )
    assert chosen.read_all().sort_by(key) == whole.read_all().sort_by(key)
    assert none.read_all().num_rows == 0


def test_an_older_snapshot_is_read_as_it_was(new_lake: Any) -> None:
    lake = new_lake()
    processed, _ = lake.publish("2024-05-01")
    lake.publish("2024-05-01", {_DAY: 3})
    snapshot = processed.snapshots["processed.transactions"]
    before = lake_reader.read_dates(lake.catalog, "processed.transactions", snapshot, [_DAY])
    now = lake_reader.read_dates(lake.catalog, "processed.transactions", None, [_DAY])
    assert (before.read_all().num_rows, now.read_all().num_rows) == (12, 3)


@pytest.mark.parametrize(
    ("day", "expected"),
    [(1, []), (2, ["early"]), (3, ["across", "early"]), (4, ["across"]), (5, ["across"]), (6, [])],
)
def test_parties_are_read_whose_interval_includes_a_day(
    new_lake: Any, day: int, expected: list[str]
) -> None:
    lake, table = new_lake(), TABLES["processed.customers"]
    seen = {"early": ((2, 0), (3, 23)), "across": ((3, 23), (5, 0))}
    rows = [
        payment_row(
            table,
            _DAY,
            1,
            customer_id=name,
            first_event_at=datetime(2024, 5, first[0], first[1], tzinfo=UTC),
            last_event_at=datetime(2024, 5, last[0], last[1], tzinfo=UTC),
        )
        for name, (first, last) in seen.items()
    ]
    snapshot = lake.write(table.name, rows)
    read = lake_reader.read_dates(lake.catalog, table.name, snapshot, [date(2024, 5, day)])
    assert sorted(read.read_all()["customer_id"].to_pylist()) == expected
    assert lake_reader.read_dates(lake.catalog, table.name, snapshot, []).read_all().num_rows == 0
