"""Each fault of the kill rate does what it says."""

import pandas as pd
import pytest

from benchmarks.faults import rows
from benchmarks.faults.library import FAULTS, Fault
from benchmarks.faults.rows import Names

FILE = Names(
    amount="amt",
    clock=("date", "time"),
    merchant="shop",
    swapped=("account", "card"),
    category="kind",
)
DAY = pd.DataFrame(
    {
        "amt": [1.0, 2.5, 3.0, 4.0],
        "date": ["2024-05-01"] * 4,
        "time": ["08:00:00", "09:00:00", "20:30:00", "23:59:59"],
        "shop": ["a", "a", "b", "c"],
        "account": ["1", "2", "3", "4"],
        "card": ["5", "6", "7", "8"],
        "kind": ["food"] * 4,
    }
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_changes_the_day_the_same_way_twice_and_leaves_the_given_one(fault: Fault) -> None:
    before, kept = DAY.assign(date="2024-04-30"), DAY.copy()
    harmed = fault.inject(DAY, before, FILE)
    assert not harmed.equals(DAY)
    assert harmed.equals(fault.inject(DAY, before, FILE))
    assert DAY.equals(kept)
    assert list(harmed.columns) == list(DAY.columns)


def test_a_wrong_unit_touches_its_share_of_the_rows() -> None:
    assert list(rows.wrong_unit(DAY, FILE, 1.0)["amt"]) == [100.0, 250.0, 300.0, 400.0]
    assert (rows.wrong_unit(DAY, FILE, 0.5)["amt"] != DAY["amt"]).sum() == 2


def test_swapped_columns_have_each_others_values() -> None:
    harmed = rows.swapped_columns(DAY, FILE, 1.0)
    assert list(harmed["account"]) == list(DAY["card"])
    assert list(harmed["card"]) == list(DAY["account"])


def test_a_shifted_clock_shifts_the_date_too() -> None:
    harmed = rows.shifted_clock(DAY, FILE, 5)
    assert list(harmed["date"]) == ["2024-05-01", "2024-05-01", "2024-05-02", "2024-05-02"]
    assert harmed["time"].iloc[2] == "01:30:00"


def test_lost_rows_are_those_at_the_end_of_the_file_or_of_the_day() -> None:
    assert list(rows.truncated(DAY, FILE, 0.25)["amt"]) == [1.0, 2.5, 3.0]
    late_first = DAY.iloc[::-1].reset_index(drop=True)
    assert set(rows.half_a_day(late_first, FILE, 0.5)["time"]) == {"08:00:00", "09:00:00"}


def test_a_currency_mix_up_changes_the_currency_of_rows_that_have_one() -> None:
    assert (rows.mixed_currency(DAY, FILE, 1.0)["amt"] == DAY["amt"] * 150).all()
    named = Names("amt", ("date", "time"), "shop", ("account", "card"), currency="money")
    harmed = rows.mixed_currency(DAY.assign(money="USD"), named, 0.5)
    assert sorted(harmed["money"]) == ["JPY", "JPY", "USD", "USD"]
    assert (harmed["amt"] == DAY["amt"]).all()


def test_the_busiest_merchant_loses_its_id() -> None:
    assert rows.nulled_merchant(DAY, FILE, 1)["shop"].isna().tolist() == [True, True, False, False]


def test_a_stale_day_claims_to_be_today() -> None:
    dated = Names("amt", ("date", "time"), "shop", ("account", "card"), day="date")
    before = DAY.assign(date="2024-04-30", amt=9.0)
    harmed = rows.stale_day(before, DAY, dated)
    assert set(harmed["date"]) == {"2024-05-01"}
    assert set(harmed["amt"]) == {9.0}
