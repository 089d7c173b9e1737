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


def touched_dates(result: ProcessResult | PrepareResult, table: Table) -> tuple[date, ...]:
    """Return the dates on which a run wrote rows of a table."""
    if table.partition_by == "delivered_date" and isinstance(result, ProcessResult):
        return result.delivered_dates
    return result.dates
