"""Windows of business dates: the partition key of every asset on the line."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

_SEPARATOR: Final = "--"


class WindowError(ValueError):
    """Raised when a text is not a window; its message says what a window looks like."""


def _date(text: str, window: str) -> date:
    try:
        parsed = date.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.isoformat() != text:
        raise WindowError(
            f"{window!r} is not a window: write one day as 2024-03-01,"
            " or an inclusive range as 2024-01-01--2024-04-30."
        )
    return parsed


@dataclass(frozen=True, order=True)
class Window:
    """An inclusive range of business dates."""

    start: date
    end: date

    def __post_init__(self) -> None:
        """Refuse a range that ends before it starts.

        Raises:
            WindowError: when `end` is before `start`.
        """
        if self.end < self.start:
            raise WindowError(
                f"the window {self.key!r} ends before it starts: put the earlier date first."
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a window from its key: `2024-03-01`, or `2024-01-01--2024-04-30`.

        Raises:
            WindowError: when `text` is neither, or the range is the wrong way round.
        """
        first, separator, last = text.partition(_SEPARATOR)
        start = _date(first, text)
        return cls(start, _date(last, text) if separator else start)

    @property
    def key(self) -> str:
        """Return the partition key; a range of one day is written as that day."""
        if self.start == self.end:
            return self.start.isoformat()
        return f"{self.start.isoformat()}{_SEPARATOR}{self.end.isoformat()}"

    def dates(self) -> Iterator[date]:
        """Yield each date, first to last."""
        for offset in range((self.end - self.start).days + 1):
            yield self.start + timedelta(days=offset)

    def __contains__(self, day: date) -> bool:
        """Return whether `day` lies in the window."""
        return self.start <= day <= self.end

    def __len__(self) -> int:
        """Return the number of days."""
        return (self.end - self.start).days + 1
