"""Ranges of business dates: unlike long lists, ranges of any length prune partitions."""

from collections.abc import Iterable
from datetime import date, timedelta

from contracts.stage_results import PrepareResult, ProcessResult
from contracts.tables import Table


def date_ranges(days: Iterable[date], before: int = 0, after: int = 0) -> list[tuple[date, date]]:
    """Return the merged ranges of each day with `before` days before and `after` days after it.

    >>> days = [date(2024, 5, 1), date(2024, 5, 3)]
    >>> [(str(first), str(last)) for first, last in date_ranges(days)]
    [('2024-05-01', '2024-05-01'), ('2024-05-03', '2024-05-03')]
    >>> [(str(first), str(last)) for first, last in date_ranges(days, before=1, after=1)]
    [('2024-04-30', '2024-05-04')]
    """
    merged: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        start, end = day - timedelta(days=before), day + timedelta(days=after)
        if merged and start <= merged[-1][1] + timedelta(days=1):
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def rows_on(table: Table, dates: Iterable[date]) -> str:
    """Return an SQL condition for the rows of a table on a set of days, valid in all engines.

    For a table with `interval`, these are the rows whose interval includes one of the days. All
    parties of the payments of these days are among them.

    >>> from contracts.tables import TABLES
    >>> rows_on(TABLES["processed.labels"], [date(2024, 5, 1), date(2024, 5, 2)])
    "(event_date >= '2024-05-01' and event_date < '2024-05-03')"
    """
    # A range prunes files at any length; a list of days only up to 200.
    first, last = table.interval or (table.partition_by, table.partition_by)
    midnight = "T00:00:00+00:00" if table.interval else ""
    ranges = [
        f"({last} >= '{start}{midnight}' and {first} < '{end + timedelta(days=1)}{midnight}')"
        for start, end in date_ranges(dates)
    ]
    return " or ".join(ranges) or f"{last} < '0001-01-01{midnight}'"


def touched_dates(result: ProcessResult | PrepareResult, table: Table) -> tuple[date, ...]:
    """Return the dates on which a run wrote rows of a table."""
    if table.partition_by == "delivered_date" and isinstance(result, ProcessResult):
        return result.delivered_dates
    return result.dates
