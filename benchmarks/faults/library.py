"""The faults by name, with their severity and the data that they need."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.faults import rows
from benchmarks.faults.rows import Names

if TYPE_CHECKING:
    import pandas as pd

    Change = Callable[[pd.DataFrame, Names, float], pd.DataFrame]


@dataclass(frozen=True)
class Fault:
    """A fault of a day's rows; `severity` is in `unit`, `change` None for a stale day.

    `needs` names the part of `Names` without which a frame cannot have it.
    """

    name: str
    what: str
    severity: float
    unit: str
    change: "Change | None"
    needs: str | None = None

    def applies(self, names: Names) -> bool:
        """Return whether a frame has what the fault touches."""
        return self.needs is None or getattr(names, self.needs) is not None

    def inject(
        self, day: "pd.DataFrame", yesterday: "pd.DataFrame", names: Names
    ) -> "pd.DataFrame":
        """Return the day with the fault."""
        if self.change is None:
            return rows.stale_day(yesterday, day, names)
        return self.change(day, names, self.severity)


FAULTS: Final = (
    Fault(
        "wrong unit",
        "amounts in cents, a hundred times too large",
        1.0,
        "of the rows",
        rows.wrong_unit,
    ),
    Fault("wrong unit, in part", "the same", 0.3, "of the rows", rows.wrong_unit),
    Fault(
        "swapped columns",
        "the values of two columns swapped",
        1.0,
        "of the rows",
        rows.swapped_columns,
    ),
    Fault("time-zone shift, east", "all clocks ahead", 5, "hours", rows.shifted_clock),
    Fault("time-zone shift, west", "all clocks behind", -5, "hours", rows.shifted_clock),
    Fault("duplicated file", "rows written twice", 1.0, "of the rows", rows.duplicated),
    Fault("truncated file", "the last rows lost", 0.3, "of the rows", rows.truncated),
    Fault("new category", "an undeclared code", 0.1, "of the rows", rows.new_category, "category"),
    Fault("stale day", "yesterday's rows delivered as today's", 1.0, "of the rows", None),
    Fault("half a day missing", "the last rows by time lost", 0.5, "of the rows", rows.half_a_day),
    Fault("currency mix-up", "payments in yen", 0.3, "of the rows", rows.mixed_currency),
    Fault(
        "nulled merchant",
        "the busiest merchant without its id",
        1,
        "merchant",
        rows.nulled_merchant,
    ),
)
"""What `make kill-rate` injects at each hop."""
