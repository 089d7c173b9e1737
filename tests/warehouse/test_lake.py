"""Reading the lake: by ranges of days, at a snapshot, in the contract's types."""

from datetime import date, timedelta
from typing import Any

import pytest

from contracts.render import to_arrow
from contracts.tables import TABLES
from lake import read as lake_reader

_DAY = date(2024, 5, 1)


def test_consecutive_days_are_one_range() -> None:
    days = [_DAY + timedelta(days=n) for n in (2, 0, 1, 5, 7, 8, 8)]
    assert lake_reader.date_ranges(days) == [
        (date(2024, 5, 1), date(2024, 5, 3)),
        (date(2024, 5, 6), date(2024, 5, 6)),
        (date(2024, 5, 8), date(2024, 5, 9)),
    ]
    assert lake_reader.date_ranges([]) == []


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


def test_a_table_without_days_is_read_whole(new_lake: Any) -> None:
    with pytest.raises(ValueError, match="no business date"):
        lake_reader.read_dates(new_lake().catalog, "processed.customers", None, [_DAY])
