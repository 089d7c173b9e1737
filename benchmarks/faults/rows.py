"""Faults in the rows of a day.

Each function takes a pandas frame of one day and returns a new one. `names` has the column names of
the frame, so that one function works on the layout of a source and on each canonical table. A seed
fixes the changed rows: the same call gives the same fault.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_SEED: Final = 20_180_401
_YEN: Final = 150
"""Yen for a dollar or a euro, about: the factor between the usual currencies that is easiest to
overlook, since yen have no cents."""
_NEW_CATEGORY: Final = "unheard_of"


@dataclass(frozen=True)
class Names:
    """The names of the columns of a frame; None for a column that it lacks.

    - `clock`: one column of instants, or a text column each for date and time of day.
    - `swapped`: two columns of one type that a careless export takes for each other.
    - `day`: the column of business dates, where rows carry one.
    """

    amount: str
    clock: tuple[str, ...]
    merchant: str
    swapped: tuple[str, str]
    category: str | None = None
    currency: str | None = None
    day: str | None = None


def wrong_unit(day: "pd.DataFrame", names: Names, severity: float) -> "pd.DataFrame":
    """State the amounts of a share of the rows in hundredths: cents instead of units."""
    hit = _some(day, severity)
    return day.assign(**{names.amount: day[names.amount].where(~hit, day[names.amount] * 100)})


def swapped_columns(day: "pd.DataFrame", names: Names, severity: float) -> "pd.DataFrame":
    """Swap the values of two columns in a share of the rows."""
    one, other = names.swapped
    hit = _some(day, severity)
    return day.assign(
        **{one: day[one].where(~hit, day[other]), other: day[other].where(~hit, day[one])}
    )


def shifted_clock(day: "pd.DataFrame", names: Names, severity: float) -> "pd.DataFrame":
    """Read every time of day in another zone, `severity` hours to the east.

    A business date beside the clock follows it.
    """
    import pandas as pd

    hours = pd.Timedelta(hours=severity)
    if len(names.clock) == 1:
        instants = day[names.clock[0]] + hours
        moved = day.assign(**{names.clock[0]: instants})
        return moved if names.day is None else moved.assign(**{names.day: instants.dt.date})
    date, time = names.clock
    read = pd.to_datetime(day[date] + " " + day[time]) + hours
    texts = {date: read.dt.strftime("%Y-%m-%d"), time: read.dt.strftime("%H:%M:%S")}
    return day.assign(**texts)


def duplicated(day: "pd.DataFrame", names: Names, severity: float) -> "pd.DataFrame":
    """Write a share of the rows a second time at the end."""
    import pandas as pd

    return pd.concat([day, day[_some(day, severity)]], ignore_index=True)


def truncated(day: "pd.DataFrame", names: Names, severity: float) -> "pd.DataFrame":
    """Drop the last share of the rows, in their order in the frame."""
    return day.head(round(len(day) * (1 - severity)))


def new_category(day: "pd.DataFrame", names: Names, severity: float) -> "pd.DataFrame":
    """Set an undeclared, unseen category in a share of the rows."""
    category = str(names.category)
    return day.assign(**{category: day[category].mask(_some(day, severity), _NEW_CATEGORY)})


def half_a_day(day: "pd.DataFrame", names: Names, severity: float) -> "pd.DataFrame":
    """Drop the last share of the day by time, as when a feed stops."""
    order = day.sort_values(list(names.clock), kind="stable").index
    return day.loc[day.index.isin(order[: round(len(day) * (1 - severity))])]


def mixed_currency(day: "pd.DataFrame", names: Names, severity: float) -> "pd.DataFrame":
    """State a share of the payments in yen.

    Where rows name their currency the name is wrong and the amount is right; where the source has
    one currency for all rows it is the amount that is in another.
    """
    hit = _some(day, severity)
    if names.currency is not None:
        return day.assign(**{names.currency: day[names.currency].mask(hit, "JPY")})
    amount = day[names.amount]
    return day.assign(**{names.amount: amount.where(~hit, (amount * _YEN).round(0))})


def nulled_merchant(day: "pd.DataFrame", names: Names, severity: float) -> "pd.DataFrame":
    """Drop the id of the merchants with the most rows; `severity` is the number of merchants."""
    busiest = day[names.merchant].value_counts().index[: int(severity)]
    return day.assign(
        **{
            names.merchant: day[names.merchant]
            .astype(object)
            .mask(day[names.merchant].isin(busiest), None)
        }
    )


def stale_day(yesterday: "pd.DataFrame", today: "pd.DataFrame", names: Names) -> "pd.DataFrame":
    """Give yesterday's rows as today's; a business date beside them says today."""
    if names.day is None:
        return yesterday
    return yesterday.assign(**{names.day: today[names.day].iloc[0]})


def _some(day: "pd.DataFrame", share: float) -> "NDArray[np.bool_]":
    """Return the mask of the changed rows: a share of them, at least one."""
    chosen = np.zeros(len(day), dtype=bool)
    number = max(round(len(day) * share), 1)
    chosen[np.random.default_rng(_SEED).permutation(len(day))[:number]] = True
    return chosen
