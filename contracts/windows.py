"""Windows, the business dates of a source: the partition key of every asset."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

_SEPARATOR: Final = "--"
_AT: Final = "@"
_SOURCE: Final = r"[a-z][a-z0-9_]*"
SPAN_PATTERN: Final = r"\d{4}-\d{2}-\d{2}(--\d{4}-\d{2}-\d{2})?"
"""The form of the dates of a window, as a regular expression for trigger forms."""


class WindowError(ValueError):
    """Raised when a text is not a window. The message has an example of a valid one."""


def _date(text: str, window: str) -> date:
    try:
        parsed = date.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.isoformat() != text:
        raise WindowError(
            f"{window!r} is not a window: write one day as 2024-03-01,"
            " or an inclusive range as 2024-01-01--2024-04-30, in a key after its source and an @."
        )
    return parsed


@dataclass(frozen=True, order=True)
class Window:
    """An inclusive range of business dates of one source system."""

    source: str
    start: date
    end: date

    def __post_init__(self) -> None:
        """Refuse a range that ends before it starts, and an invalid name of a source.

        Raises:
            WindowError: when `end` is before `start`, or `source` has other characters than small
                letters, digits and underscores.
        """
        if not re.fullmatch(_SOURCE, self.source):
            raise WindowError(
                f"{self.source!r} cannot be the name of a source: it is written in small letters,"
                " digits and underscores, as sparkov in sparkov@2024-03-01."
            )
        if self.end < self.start:
            raise WindowError(
                f"the window {self.key!r} ends before it starts: put the earlier date first."
            )

    @classmethod
    def of(cls, source: str, span: str) -> Self:
        """Return the window of a source over `2024-03-01`, or `2024-01-01--2024-04-30`.

        Raises:
            WindowError: when `span` is neither, or the range ends before it starts.
        """
        first, separator, last = span.partition(_SEPARATOR)
        start = _date(first, span)
        return cls(source, start, _date(last, span) if separator else start)

    @classmethod
    def parse(cls, key: str) -> Self:
        """Read a window from its key, as `sparkov@2024-03-01`.

        Raises:
            WindowError: when `key` has no source, or no date or range of dates after it.
        """
        source, at, span = key.partition(_AT)
        if not at:
            raise WindowError(
                f"{key!r} names no source: write the key of a window as sparkov@2024-03-01"
                " or sparkov@2024-01-01--2024-04-30."
            )
        return cls.of(source, span)

    @property
    def span(self) -> str:
        """Return the dates as text; a range of one day is written as that day."""
        if self.start == self.end:
            return self.start.isoformat()
        return f"{self.start.isoformat()}{_SEPARATOR}{self.end.isoformat()}"

    @property
    def key(self) -> str:
        """Return the partition key: source and dates."""
        return f"{self.source}{_AT}{self.span}"

    def dates(self) -> Iterator[date]:
        """Yield each date, first to last."""
        for offset in range((self.end - self.start).days + 1):
            yield self.start + timedelta(days=offset)

    def __contains__(self, day: date) -> bool:
        """Return whether `day` is in the window."""
        return self.start <= day <= self.end

    def __len__(self) -> int:
        """Return the number of days."""
        return (self.end - self.start).days + 1
