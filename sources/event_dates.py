"""Business dates of the rows of a file, counted at landing to compare them with the window."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import numpy as np

from contracts.values import NUMBER
from sources.rules import Epoch, Instant, Rule, Steps, columns_of
from sources.time_patterns import date_expression, has_zone

_DAY_SECONDS: Final = 86_400
_EPOCH: Final = date(1970, 1, 1)
_FIRST_DAY: Final = (date.min - _EPOCH).days
_LAST_DAY: Final = (date.max - _EPOCH).days
_MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
)


def days_of(rule: Rule, table: Any) -> Counter[date]:
    """Count the rows of an Arrow table by the date as it is written.

    A row whose date is not understood is left out; so are all where a column is absent.
    """
    if not columns_of(rule) <= set(table.column_names):
        return Counter()
    match rule:
        case Steps(column, base, seconds):
            start = int(datetime.combine(base, time(), UTC).timestamp())
            return _counted(table[column], seconds, start)
        case Epoch(column, per_second):
            return _counted(table[column], 1 / per_second, 0)
        case Instant(names, patterns):
            return _written([table[name] for name in names], [one.pattern for one in patterns])
        case _:
            return Counter()


def may_differ(rule: Rule, zone: str) -> bool:
    """Return whether a date as it is counted here may be next to the business date in `zone`.

    So it is of a text with a zone, and of instants unless the business dates are those of UTC.
    """
    if isinstance(rule, Instant) and rule.patterns:
        return any(has_zone(one.pattern) for one in rule.patterns)
    return zone != "UTC"


def _counted(column: Any, seconds: float, start: int) -> Counter[date]:
    """Count rows by date, from a number of units of `seconds` after `start`."""
    import pyarrow as pa
    from pyarrow import compute as pc

    written = pc.utf8_trim_whitespace(column.cast(pa.string()))
    is_number = pc.match_substring_regex(written, f"^({NUMBER})$")
    numbers = written.filter(is_number).cast(pa.float64())
    days = pc.floor(pc.divide(pc.add(pc.multiply(numbers, seconds), start), _DAY_SECONDS))
    found = Counter[date]()
    for one in pc.value_counts(days).to_pylist():
        _add(found, one["values"], one["counts"])
    return found


def _add(found: Counter[date], day: float, rows: int) -> None:
    """Count rows on a day after 1970, unless no calendar has it."""
    if _FIRST_DAY <= day <= _LAST_DAY:
        found[_EPOCH + timedelta(days=day)] += rows


def _written(columns: list[Any], patterns: Iterable[str]) -> Counter[date]:
    """Count rows by the date of their time, a timestamp or a text in one of the patterns."""
    import pyarrow as pa
    from pyarrow import compute as pc

    found = Counter[date]()
    if len(columns) == 1 and pa.types.is_temporal(columns[0].type):
        # Arrow gives the instants of a column with a zone, in UTC.
        days = columns[0].drop_null().to_numpy().astype("datetime64[D]").astype(np.int64)
        for day, rows in zip(*np.unique(days, return_counts=True), strict=True):
            _add(found, int(day), int(rows))
        return found
    texts = [pc.utf8_trim_whitespace(column.cast(pa.string())) for column in columns]
    rest = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, " ")
    for expression in filter(None, map(date_expression, patterns)):
        parts = pc.extract_regex(rest, expression)
        is_read = pc.is_valid(parts)
        read = parts.filter(is_read)
        joined = pc.binary_join_element_wise(
            *(pc.struct_field(read, [name]) for name in "ymd"), "-"
        )
        for one in pc.value_counts(joined).to_pylist():
            if day := _date(*one["values"].split("-")):
                found[day] += one["counts"]
        rest = rest.filter(pc.invert(is_read))
    return found


def _date(year: str, month: str, day: str) -> date | None:
    """Return a date from its parts as they are written; a year of two digits is after 2000."""
    try:
        number = _MONTHS.index(month[:3].lower()) + 1 if month.isalpha() else int(month)
        return date(int(year) + 2000 if len(year) == 2 else int(year), number, int(day))
    except ValueError:
        return None
