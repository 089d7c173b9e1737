"""Labels: what is said about a payment, and when it becomes known."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.payments import DAY_SECONDS, HONEST, Payments
from simulator.streams import Purpose, stream
from simulator.world import World

SOURCES: Final = ("chargeback", "analyst")
_CHARGEBACK, _ANALYST = range(2)
_WEEK: Final = 7.0
_CORRECTION_DAYS: Final = (3.0, 20.0)
"""Least and most days after which an analyst withdraws a false alarm."""


@dataclass(frozen=True)
class Labels:
    """Statements as arrays of shape (statements,), in the order of the payments.

    Attributes:
        row: row of the payment among the day's payments.
        is_fraud: 1 or 0; a 0 withdraws an earlier 1.
        source: position in SOURCES.
        known_second: seconds since the begin of the payment's day.
    """

    row: npt.NDArray[np.int64]
    is_fraud: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    known_second: npt.NDArray[np.int64]


def labels_of(world: World, day: int, payments: Payments) -> Labels:
    """Return the statements about the payments of a day.

    Most frauds become known within seven days, the others within 90; some are never reported. Some
    honest payments are reported by mistake, and an analyst withdraws that later. A payment without
    a statement after 90 days is honest, as far as anybody knows.
    """
    settings = world.settings.labels
    rng = stream(world.settings.seed, day, Purpose.LABELS)
    is_fraud = payments.typology != HONEST
    reported = rng.random(len(payments)) < np.where(
        is_fraud, 1 - settings.unreported_share, settings.false_alarm_share
    )
    row = np.flatnonzero(reported)
    week = np.minimum(rng.gamma(2.0, 1.3, row.size), _WEEK)
    tail = np.minimum(
        _WEEK + rng.exponential(settings.tail_mean_days, row.size), settings.longest_days
    )
    days = np.where(rng.random(row.size) < settings.within_week_share, week, tail)
    known = payments.second[row] + (days * DAY_SECONDS).astype(np.int64)
    source = np.where(rng.random(row.size) < 0.3, _ANALYST, _CHARGEBACK)
    mistaken = ~is_fraud[row]
    later = (rng.uniform(*_CORRECTION_DAYS, row.size) * DAY_SECONDS).astype(np.int64)
    return Labels(
        row=np.concatenate([row, row[mistaken]]),
        is_fraud=np.repeat([1, 0], [row.size, int(mistaken.sum())]),
        source=np.concatenate([source, np.full(int(mistaken.sum()), _ANALYST)]),
        known_second=np.concatenate([known, (known + later)[mistaken]]),
    )
