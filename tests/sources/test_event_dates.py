from collections import Counter
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts.windows import Window
from sources.event_dates import days_of, may_differ
from sources.inspect import inspect
from sources.land import _rows_beyond
from sources.mapping_file import read
from sources.rules import ISO_TIME, SPREADSHEET_TIME, Epoch, Instant, Rule, Steps, TimePattern

HOSTILE = Path(__file__).parent / "hostile"
MAY = date(2024, 5, 1)


def instant(*patterns: str) -> Instant:
    return Instant(("t",), tuple(map(TimePattern, patterns)))


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        (Instant(("t",), ISO_TIME), ["2024-05-01T23:59:59.123456+02:00", " 2024-05-01 00:00:00 "]),
        (Instant(("t",), SPREADSHEET_TIME), ["5/1/24 9:05", "5/1/2024 23:05:59"]),
        (instant("dd.MM.yyyy HH:mm", "d MMM yyyy"), ["01.05.2024 10:00", "1 May 2024"]),
        (instant("yyyyMMddHHmmssSSS", "d MMMM yy"), ["20240501100000123", "1 may 24"]),
        (instant("yyyy-MM-dd'T'HH:mm[ z]"), ["2024-05-01T10:00", "2024-05-01T10:00 Europe/Oslo"]),
        (instant("yyyy-MM-dd h.mm a"), ["2024-05-01 9.05 PM", "2024-05-01 12.05 am"]),
        (Instant(("t",)), [datetime(2024, 5, 1, 23, 59), datetime(2024, 5, 1)]),
        (Steps("t", date(2024, 4, 30), 3600), ["24", "47.9"]),
        (Epoch("t", 1000), [1714521600000, 1714607999999]),
        (Epoch("t"), ["1714521600", "1.7146e9"]),
    ],
)
def test_rows_are_counted_by_the_date_as_it_is_written(rule: Rule, values: list[Any]) -> None:
    table = pa.table({"t": [*values, None]})
    assert days_of(rule, table) == {MAY: 2}


def test_what_is_no_date_is_left_out() -> None:
    texts = pa.table({"t": ["2024-02-30 00:00:00", "0000-01-01 00:00:00", "x", "", None]})
    numbers = pa.table({"t": ["9e300", "-9e300", "nan", "1,5", "", None]})
    assert days_of(Instant(("t",), ISO_TIME), texts) == {}
    assert days_of(Epoch("t"), numbers) == {}
    assert days_of(Steps("t", MAY, 86_400), numbers) == {}
    assert days_of(instant("yyyy-DDD"), pa.table({"t": ["2024-122"]})) == {}
    assert days_of(Epoch("t"), pa.table({"other": [1]})) == {}
    far = pa.array([2**62, -(2**62), None], pa.timestamp("us"))
    assert days_of(Instant(("t",)), pa.table({"t": far})) == {}


def test_times_of_several_columns_are_joined() -> None:
    table = pa.table({"day": ["2024-05-01", None], "at": ["10:00:00", "10:00:00"]})
    rule = Instant(("day", "at"), ISO_TIME)
    assert days_of(rule, table) == {MAY: 1}
    assert may_differ(rule, "UTC")
    assert not may_differ(instant("yyyy-MM-dd 'Z'"), "Europe/Berlin")
    assert may_differ(Epoch("t"), "Europe/Berlin")
    assert not may_differ(Epoch("t"), "UTC")


def test_a_whole_file_that_reaches_beyond_its_window_is_counted() -> None:
    source = read(HOSTILE / "creditcard.yaml")
    found = inspect(HOSTILE / "creditcard.csv", source)
    assert sum(found.days.values()) == 200

    def beyond(span: str) -> int:
        return _rows_beyond(source, found, Window.of(source.name, span))

    assert beyond("2013-09-01--2013-09-03") == 0
    assert beyond("2013-09-01") == 97
    assert beyond("2014-01-01") == 200
    daily = replace(source, delivers="daily")
    assert inspect(HOSTILE / "creditcard.csv", daily).days == Counter()
