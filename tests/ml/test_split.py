from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.features import LABEL_DELAY_DAYS
from ml import split
from ml.errors import NotEnoughHistory

DELAY = timedelta(days=LABEL_DELAY_DAYS)


def test_the_plan_of_the_sample() -> None:
    plan = split.plan(date(2024, 5, 1), datetime(2024, 8, 30, tzinfo=UTC))
    assert plan.test == split.Fold(date(2024, 8, 9), date(2024, 8, 23))
    assert plan.folds[-1] == split.Fold(date(2024, 7, 19), date(2024, 8, 2))
    assert [fold.start for fold in plan.folds] == [
        date(2024, 7, 5),
        date(2024, 7, 12),
        date(2024, 7, 19),
    ]


@given(st.integers(split.MINIMUM_DAYS, 1000))
def test_folds_never_reach_into_the_delay(days: int) -> None:
    first = date(2024, 1, 1)
    as_of = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=days)
    plan = split.plan(first, as_of)
    assert plan.test.end == as_of.date() - DELAY
    for fold in (*plan.folds, plan.test):
        assert fold.start < fold.end
        assert fold.start - fold.train_end == DELAY
        assert fold.train_end > first
    assert all(fold.end <= plan.test.train_end for fold in plan.folds)


def test_too_short_a_history_says_what_to_do() -> None:
    with pytest.raises(NotEnoughHistory, match="process a longer window"):
        split.plan(date(2024, 5, 1), datetime(2024, 5, 20, tzinfo=UTC))


def rows(*payments: tuple[str, date, bool, date]) -> pd.DataFrame:
    frame = pd.DataFrame(payments, columns=["customer_id", "event_date", "is_fraud", "known_at"])
    frame["known_at"] = pd.to_datetime(frame["known_at"]).dt.tz_localize("UTC")
    # At noon UTC, which is in the same date of most zones.
    frame["event_at"] = pd.to_datetime(frame["event_date"]).dt.tz_localize("UTC") + NOON
    return frame


NOON = pd.Timedelta(hours=12)
FOLD = split.Fold(date(2024, 7, 10), date(2024, 7, 12))


def test_training_rows_are_old_enough_and_known() -> None:
    frame = rows(
        ("a", date(2024, 7, 2), False, date(2024, 7, 10)),  # known at the very start
        ("a", date(2024, 7, 2), True, date(2024, 7, 11)),  # old enough, not known yet
        ("a", date(2024, 7, 3), False, date(2024, 7, 4)),  # known, inside the delay
        ("a", date(2024, 7, 10), False, date(2024, 7, 10)),
    )
    assert FOLD.train(frame).tolist() == [True, False, False, False]
    assert FOLD.evaluation(frame).tolist() == [False, False, False, True]


def test_nothing_is_known_that_comes_after_the_first_payment_of_a_zone_east_of_utc() -> None:
    frame = rows(
        ("a", date(2024, 7, 2), True, date(2024, 7, 9)),
        ("a", date(2024, 7, 2), True, date(2024, 7, 10)),
        ("a", date(2024, 7, 10), False, date(2024, 7, 20)),
        ("b", date(2024, 7, 2), True, date(2024, 7, 10)),
        ("b", date(2024, 7, 10), False, date(2024, 7, 20)),
    )
    # The date begins at 15:00 UTC of the day before in Tokyo.
    frame.loc[frame["event_date"] == FOLD.start, "event_at"] -= pd.Timedelta(hours=20)
    assert FOLD.train(frame).tolist() == [True, False, False, False, False]
    unknown = split.of_unknown_customers(frame, FOLD.evaluation(frame))
    assert unknown.tolist() == [False, False, False, False, True]


def test_compromised_customers_are_excluded_once_known() -> None:
    frame = rows(
        ("a", date(2024, 7, 1), True, date(2024, 7, 11)),
        ("b", date(2024, 7, 1), True, date(2024, 7, 12)),
        ("a", date(2024, 7, 10), False, date(2024, 7, 20)),
        ("a", date(2024, 7, 11), True, date(2024, 7, 20)),
        ("b", date(2024, 7, 11), False, date(2024, 7, 20)),
        ("c", date(2024, 7, 11), True, date(2024, 7, 20)),
    )
    selected = split.of_unknown_customers(frame, FOLD.evaluation(frame))
    # a is known from the 11th on; b only after the fold; c's fraud is the one to find.
    assert selected.tolist() == [False, False, True, False, True, True]
    assert np.array_equal(selected & ~FOLD.evaluation(frame), np.zeros(6, dtype=bool))
