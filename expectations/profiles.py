"""Profiles of the days of a source, and the distance of each day from earlier days.

A profile has two small frames, each from one aggregate query: `daily` has one row for each source
and date, `cells` the distribution of the rows of a day over hours, amounts and codes. Each day is
compared with the days of its source up to `LOOKBACK_DAYS` before it. A day with fewer than
`FEWEST_DAYS` of them has no past and is checked against the declared ranges only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LOOKBACK_DAYS: Final = 28
"""Four of each weekday: enough for a median, and short enough to follow a season."""
FEWEST_DAYS: Final = 7
_MAD_SCALE: Final = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""
_SAME_WEEKDAYS: Final = 3
_NEWS: Final = 0.02
"""Tolerated share of rows with an unseen code."""
_KEYS: Final = ["source_system", "event_date"]


@dataclass(frozen=True)
class Band:
    """Allowed distance of a measure from the median of its past, with a reason.

    The band is the widest of `mads` robust spreads, `relative` times the median, and `absolute`;
    with `by_weekday`, the median covers the same weekday if the past has three of them.
    """

    measure: str
    reason: str
    relative: float = 0.0
    mads: float = 8.0
    absolute: float = 0.0
    by_weekday: bool = False


@dataclass(frozen=True)
class Shape:
    """Allowed distance of the distribution of a day's rows from that of its past.

    For `is_ordered` values, the distance is the largest difference of the cumulative shares
    (Kolmogorov-Smirnov), for codes the share of rows that would have to change (total variation).
    The limit is `past_factor` times the largest distance of the past days, and at least
    `noise` / √rows.
    """

    kind: str
    reason: str
    is_ordered: bool
    past_factor: float
    noise: float

    @property
    def measure(self) -> str:
        """Return the name of the distance."""
        return f"{self.kind}_distance"


def compared(daily: Any, cells: Any, bands: Iterable[Band], shapes: Iterable[Shape]) -> Any:
    """Return `daily` with `<measure>_low` and `_high` for each measure, null without a past.

    Adds a distance for each shape, and `unseen_<kind>_share`, the share of a day's rows with a code
    that does not occur in its past.
    """
    import pandas as pd

    bands, shapes = tuple(bands), tuple(shapes)
    frames = []
    for source, rows in daily.sort_values(_KEYS).groupby("source_system", sort=False):
        days = rows.reset_index(drop=True)
        dates = pd.to_datetime(days["event_date"])
        pasts = _pasts(dates)
        weekday = dates.dt.dayofweek.to_numpy()
        mine = cells[cells["source_system"] == source]
        columns: dict[str, Any] = {}
        for band in bands:
            columns |= _limits(days[band.measure].to_numpy(float), pasts, weekday, band)
        for shape in shapes:
            columns |= _distances(_table(mine, shape.kind, days["event_date"]), pasts, shape)
        frames.append(pd.concat([days, pd.DataFrame(columns, index=days.index)], axis=1))
    return pd.concat(frames, ignore_index=True) if frames else daily


def with_measures(daily: Any, cells: Any) -> Any:
    """Add measures of the cells to `daily`: the median amount and the hours without rows."""
    import pandas as pd

    hours = cells[cells["kind"] == "hour"].groupby(_KEYS)["value"].nunique()
    amounts = cells[cells["kind"] == "amount"].assign(value=lambda c: c["value"].astype(float))
    medians = {
        key: _median(group["value"].to_numpy(), group["rows"].to_numpy())
        for key, group in amounts.groupby(_KEYS)
    }
    index = pd.MultiIndex.from_frame(daily[_KEYS])
    return daily.assign(
        empty_hours=24 - pd.Series(hours, dtype=float).reindex(index).to_numpy(),
        median_amount=pd.Series(medians, dtype=float).reindex(index).to_numpy()
        if medians
        else float("nan"),
    )


def _pasts(dates: Any) -> "list[NDArray[np.int64]]":
    """Return, for each of the ascending dates, the positions of its past dates."""
    numbers = dates.to_numpy("datetime64[D]").astype(np.int64)
    first = np.searchsorted(numbers, numbers - LOOKBACK_DAYS)
    return [np.arange(start, at) for at, start in enumerate(first)]


def _limits(
    values: "Floats", pasts: "Sequence[NDArray[np.int64]]", weekday: Any, band: Band
) -> "dict[str, Floats]":
    low, high = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for at, before in enumerate(pasts):
        past = before[~np.isnan(values[before])]
        if len(past) < FEWEST_DAYS:
            continue
        centre = np.median(values[past])
        off = values[past] - centre
        same = past[weekday[past] == weekday[at]]
        if band.by_weekday and len(same) >= _SAME_WEEKDAYS:
            centre = np.median(values[same])
            of_day = {day: np.median(values[past[weekday[past] == day]]) for day in range(7)}
            off = values[past] - np.array([of_day[day] for day in weekday[past]])
        spread = _MAD_SCALE * np.median(abs(off))
        width = max(band.mads * spread, band.relative * abs(centre), band.absolute)
        low[at], high[at] = max(centre - width, 0.0), centre + width
    return {f"{band.measure}_low": low, f"{band.measure}_high": high}


def _table(cells: Any, kind: str, dates: Any) -> "Floats":
    """Return the rows of each date (in order) and value (ascending) of one kind of cell."""
    mine = cells[cells["kind"] == kind]
    if kind in ("hour", "amount"):
        mine = mine.assign(value=mine["value"].astype(float))
    table = mine.pivot_table("rows", "event_date", "value", "sum", fill_value=0)
    filled: Floats = table.reindex(list(dates), fill_value=0).to_numpy(float)
    return filled


def _distances(
    counts: "Floats", pasts: "Sequence[NDArray[np.int64]]", shape: Shape
) -> "dict[str, Floats]":
    names = [shape.measure, f"{shape.measure}_high"]
    if not shape.is_ordered:
        names += [f"unseen_{shape.kind}_share", f"unseen_{shape.kind}_share_high"]
    distances = {name: np.full(len(pasts), np.nan) for name in names}
    totals = counts.sum(axis=1)
    for at, before in enumerate(pasts):
        past = before[totals[before] > 0]
        if len(past) < FEWEST_DAYS or not totals[at]:
            continue
        pool, own = counts[past].sum(axis=0), counts[past]
        gaps = _gaps(own, pool - own, shape.is_ordered)
        values = [
            _gaps(counts[[at]], pool, shape.is_ordered)[0],
            max(shape.past_factor * gaps.max(), shape.noise / totals[at] ** 0.5),
        ]
        if not shape.is_ordered:
            news = (own * (pool == own)).sum(axis=1) / totals[past]
            values += [counts[at][pool == 0].sum() / totals[at], 2 * news.max() + _NEWS]
        for name, value in zip(names, values, strict=True):
            distances[name][at] = value
    return distances


def _gaps(ones: "Floats", others: "Floats", is_ordered: bool) -> "Floats":
    """Return the distance of each row of counts from the corresponding row of the others."""
    others = np.broadcast_to(others, ones.shape)
    difference = ones / ones.sum(axis=1, keepdims=True) - others / others.sum(axis=1, keepdims=True)
    size: Floats = (
        abs(difference.cumsum(axis=1)).max(axis=1)
        if is_ordered
        else (abs(difference).sum(axis=1) / 2)
    )
    return size


def _median(values: "Floats", rows: "Floats") -> float:
    order = values.argsort()
    reached = rows[order].cumsum()
    return float(values[order][(reached >= reached[-1] / 2).argmax()])
