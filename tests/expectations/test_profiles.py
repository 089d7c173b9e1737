"""Comparison of a day with its past: near, far, and without a past."""

from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest

from expectations.profiles import FEWEST_DAYS, Band, Shape, compared, with_measures

FIRST = date(2024, 5, 1)
ROWS = Band("rows", "measured", relative=0.2, mads=5)
HOURS = Shape("hour", "measured", is_ordered=True, past_factor=2.0, noise=2.2)
CODES = Shape("channel", "measured", is_ordered=False, past_factor=2.0, noise=3.0)


def _daily(rows: list[float], source: str = "here", step: int = 1) -> pd.DataFrame:
    dates = [FIRST + timedelta(days=step * number) for number in range(len(rows))]
    return pd.DataFrame({"source_system": source, "event_date": dates, "rows": rows})


def _cells(kind: str, days: list[dict[str, int]], source: str = "here") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "source_system": source,
                "event_date": FIRST + timedelta(days=number),
                "kind": kind,
                "value": value,
                "rows": rows,
            }
            for number, cells in enumerate(days)
            for value, rows in cells.items()
        ]
    )


def _compared(daily: pd.DataFrame, cells: pd.DataFrame | None = None, *shapes: Shape) -> Any:
    cells_of_hour = _cells("hour", []) if cells is None else cells
    return compared(
        daily,
        cells_of_hour.reindex(columns=["source_system", "event_date", "kind", "value", "rows"]),
        [ROWS],
        shapes,
    )


def test_a_day_has_a_band_once_it_has_a_past() -> None:
    days = _compared(_daily([100.0] * 9 + [50.0]))
    assert days["rows_low"].isna().sum() == FEWEST_DAYS
    assert days["rows_low"].iloc[-1] == pytest.approx(80)
    assert days["rows_high"].iloc[-1] == pytest.approx(120)
    assert days["rows"].iloc[-1] < days["rows_low"].iloc[-1]


def test_a_band_follows_the_spread_of_its_past() -> None:
    noisy = [1000.0, 1040.0] * 7 + [1000.0]
    narrow = Band("rows", "measured", mads=5)
    nothing = _cells("hour", [{"0": 1}])
    band = compared(_daily(noisy), nothing, [narrow], []).iloc[-1]
    assert band["rows_high"] - band["rows_low"] == pytest.approx(2 * 5 * 1.4826 * 20)


def test_one_bad_day_does_not_move_the_band_of_later_days() -> None:
    days = _compared(_daily([100.0] * 10 + [10_000.0] + [100.0] * 5))
    assert days["rows_high"].iloc[-1] == pytest.approx(120)


def test_the_past_ends_after_four_weeks_and_belongs_to_one_source() -> None:
    assert _compared(_daily([100.0] * 40, step=7))["rows_low"].isna().all()
    other = pd.concat([_daily([100.0] * 9), _daily([7.0] * 3, "there")])
    days = _compared(other)
    assert days[days["source_system"] == "there"]["rows_low"].isna().all()


def test_a_weekday_is_compared_with_the_same_weekday() -> None:
    weekly = Band("rows", "measured", relative=0.1, mads=5, by_weekday=True)
    rows = [300.0 if number % 7 == 3 else 100.0 for number in range(29)]
    days = compared(_daily(rows), _cells("hour", [{"0": 1}]), [weekly], [])
    saturday = days.iloc[24]
    assert saturday["rows"] == 300
    assert saturday["rows_low"] == pytest.approx(270)


def test_shifted_hours_exceed_the_limit_and_noise_does_not() -> None:
    usual = {str(hour): 100 if 8 <= hour < 20 else 10 for hour in range(24)}
    moved = {str((int(hour) + 3) % 24): rows for hour, rows in usual.items()}
    days = [*([usual] * 10), moved, usual]
    days = _compared(_daily([1.0] * 12), _cells("hour", days), HOURS)
    far = days["hour_distance"] > days["hour_distance_high"]
    assert list(far[far].index) == [10]


def test_the_share_of_an_unseen_code_exceeds_its_limit() -> None:
    days = [*([{"pos": 90, "web": 10}] * 8), {"pos": 80, "web": 10, "moon": 10}]
    last = _compared(_daily([1.0] * 9), _cells("channel", days), CODES).iloc[-1]
    assert last["unseen_channel_share"] == pytest.approx(0.1)
    assert last["unseen_channel_share"] > last["unseen_channel_share_high"]


def test_a_kind_without_cells_has_no_distance() -> None:
    days = _compared(_daily([1.0] * 9), _cells("hour", [{"1": 5}] * 9), CODES)
    assert days["channel_distance"].isna().all()


def test_median_and_empty_hours_are_read_from_the_cells() -> None:
    cells = pd.concat(
        [
            _cells("amount", [{"8.0": 3, "40.0": 4}]),
            _cells("hour", [{"1": 3, "2": 4}]),
        ]
    )
    days = with_measures(_daily([7.0, 3.0]), cells)
    assert days["median_amount"].iloc[0] == 40
    assert days["empty_hours"].iloc[0] == 22
    assert days["median_amount"].isna().iloc[1]
