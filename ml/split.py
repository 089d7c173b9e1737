"""Split by time, never at random: train | label delay | evaluation.

Source: Le Borgne et al., Reproducible Machine Learning for Credit Card Fraud Detection, chapters 3
(train, delay, test; known cards leave the test) and 5 (prequential validation).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from contracts.features import LABEL_DELAY_DAYS
from ml.errors import NotEnoughHistory

EVALUATION_DAYS: Final = 14
"""Days of the test fold; two weeks have each weekday twice."""
FOLD_STEP_DAYS: Final = 7
FOLDS: Final = 3
MINIMUM_TRAIN_DAYS: Final = 10
MINIMUM_EVALUATION_DAYS: Final = 3
MINIMUM_DAYS: Final = MINIMUM_TRAIN_DAYS + 2 * MINIMUM_EVALUATION_DAYS + 3 * LABEL_DELAY_DAYS
MINIMUM_TRAIN_FRAUDS: Final = 20
"""Least frauds for training: about one for each feature."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Fold:
    """An evaluation period, which determines the training data of a model for this period."""

    start: date
    end: date

    @property
    def train_end(self) -> date:
        """Return the first day that is excluded from training: the label delay before `start`."""
        return self.start - timedelta(days=LABEL_DELAY_DAYS)

    def train(self, rows: pd.DataFrame) -> Flags:
        """Select the rows that were known at the start of the period.

        The period starts at midnight UTC, or at its first payment: dates of a zone east of UTC
        begin earlier.

        Args:
            rows: with `event_date` (date), `event_at` and `known_at` (UTC timestamps).
        """
        first = rows["event_at"][self.evaluation(rows)].min()
        known = rows["known_at"] <= min(midnight(self.start), first)
        return np.asarray((rows["event_date"] < self.train_end) & known, dtype=bool)

    def evaluation(self, rows: pd.DataFrame) -> Flags:
        """Select the payments of the period."""
        day = rows["event_date"]
        return np.asarray((day >= self.start) & (day < self.end), dtype=bool)


@dataclass(frozen=True)
class Plan:
    """The folds of one training run.

    `folds` choose between candidates, latest last; the last of them also sets the thresholds.
    `test` is later than all of them and is evaluated once.
    """

    folds: tuple[Fold, ...]
    test: Fold


def midnight(day: date) -> pd.Timestamp:
    """Return the first instant of a day, UTC."""
    return pd.Timestamp(day, tz="UTC")


def plan(first: date, as_of: datetime) -> Plan:
    """Return the folds between the first day of data and `as_of`.

    The days of the label delay before `as_of`, whose labels are incomplete, are excluded. With a
    short history, each evaluation period is an eighth of it.

    Raises:
        NotEnoughHistory: when less than `MINIMUM_DAYS` days lie between.
    """
    last = as_of.date()
    days = (last - first).days
    if days < MINIMUM_DAYS:
        raise NotEnoughHistory(
            f"only {days} days of payments lie before {last}, training needs {MINIMUM_DAYS}:"
            " process a longer window of history first."
        )
    delay = timedelta(days=LABEL_DELAY_DAYS)
    length = timedelta(days=min(EVALUATION_DAYS, max(MINIMUM_EVALUATION_DAYS, days // 8)))
    test = Fold(last - delay - length, last - delay)
    folds = []
    for index in range(FOLDS):
        end = test.train_end - timedelta(days=FOLD_STEP_DAYS * index)
        fold = Fold(end - length, end)
        if index and (fold.train_end - first).days < MINIMUM_TRAIN_DAYS:
            break
        folds.append(fold)
    return Plan(tuple(reversed(folds)), test)


def of_unknown_customers(rows: pd.DataFrame, evaluated: Flags) -> Flags:
    """Keep the evaluated payments of customers not known as compromised on the payment's day.

    A customer is known from the first midnight UTC after one of its frauds became known. Detecting
    such a card again is easy, and its payments would count one compromise several times.

    Args:
        rows: all labelled rows, with `customer_id`, `event_at`, `event_date`, `is_fraud`,
            `known_at`.
        evaluated: the rows of the evaluation period.
    """
    frauds = rows[rows["is_fraud"].to_numpy(dtype=bool)]
    known_from = frauds.groupby("customer_id")["known_at"].min()
    since = rows["customer_id"].map(known_from)
    day = pd.to_datetime(rows["event_date"]).dt.tz_localize("UTC")
    # A date of a zone east of UTC begins before midnight UTC.
    known: Flags = np.asarray((since <= day) & (since <= rows["event_at"]), dtype=bool)
    return np.asarray(evaluated & ~known, dtype=bool)
