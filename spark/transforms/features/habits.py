"""Deviation of a payment from the habits of its customer, from integer sums.

Each habit is a few integers for each payment, summed over a window. The result does not depend on
the order of payments, so a run of a day and a run of the whole history compute identical values.
"""

import math
from typing import Final

import numpy as np
import pyarrow as pa

from contracts.features import HABIT_PAYMENTS, LOG_SPREAD_FLOOR, SCORE_LIMIT
from spark.transforms.features.groups import DAY, Flags, Floats, Groups, Ints

_LOG_UNITS: Final = 100
_CIRCLE_UNITS: Final = 1_000_000


def habits(
    groups: Groups, cents: Floats, is_clock: Flags | None, start: Ints
) -> dict[str, pa.Array]:
    """Return how unusual amount and hour are for the customer, without counting this payment.

    The score uses log(1 + cents), in hundredths. The hour is null if the times of the source are
    an order only (`is_clock` false; None if all times are clock times). `start` is the number of
    payments before the history.

    >>> groups = Groups.of(np.zeros(11, dtype=np.int64), np.arange(11) * DAY)
    >>> start = np.zeros(11, dtype=np.int64)
    >>> columns = habits(groups, np.full(11, 100.0), None, start)
    >>> columns["usual_hour_distance_hours"].to_pylist()[-1]
    0.0
    """
    through = groups.through()
    others = through - start - 1

    def of_others(values: Ints) -> tuple[Ints, Ints]:
        sums, own = groups.running(values), values[groups.order]
        return sums[through] - sums[start] - own, own

    log = np.rint(np.log1p(cents) * _LOG_UNITS).astype(np.int64)
    log_sum, own = of_others(log)
    square_sum, _ = of_others(log * log)
    has_habit = others >= HABIT_PAYMENTS
    score = amount_log_score(others, log_sum, square_sum, own)
    micros = np.empty(groups.count, dtype=np.int64)
    micros[groups.order] = groups.micros
    angle = micros % DAY * (2 * math.pi / DAY)
    cos = np.rint(np.cos(angle) * _CIRCLE_UNITS).astype(np.int64)
    sin = np.rint(np.sin(angle) * _CIRCLE_UNITS).astype(np.int64)
    if is_clock is not None:
        cos, sin = cos * is_clock, sin * is_clock
    (cos_sum, own_cos), (sin_sum, own_sin) = of_others(cos), of_others(sin)
    has_hour = has_habit & ((cos_sum != 0) | (sin_sum != 0))
    if is_clock is not None:
        has_hour &= is_clock[groups.order]
    hours = usual_hour_distance(cos_sum, sin_sum, own_cos, own_sin)
    return {
        "amount_log_score": groups.placed_where(has_habit, score),
        "usual_hour_distance_hours": groups.placed_where(has_hour, hours),
    }


def amount_log_score(count: Ints, log_sum: Ints, square_sum: Ints, own: Ints) -> Floats:
    """Return the distance of a log amount from the mean of `count` others, in standard deviations.

    A robust alternative to (amount - median) / MAD (Iglewicz and Hoaglin, How to Detect and Handle
    Outliers, 1993): amounts are approximately log-normal (Limpert, Stahel, Abbt, BioScience 51,
    2001), so the logarithm reduces the weight of outliers, and its sums are exact, which a running
    median is not. The spread is at least `LOG_SPREAD_FLOOR`, and the score is limited to
    `SCORE_LIMIT`.

    >>> amount_log_score(*(np.array([x]) for x in (10, 5000, 2502250, 560))).tolist()
    [2.4]
    """
    n, total = np.maximum(count, 1).astype(np.float64), log_sum.astype(np.float64)
    variance = (n * square_sum - total * total) / (n * n)
    spread = np.maximum(np.sqrt(np.maximum(variance, 0.0)), LOG_SPREAD_FLOOR * _LOG_UNITS)
    score: Floats = np.round((own - total / n) / spread, 6)
    return np.clip(score, -SCORE_LIMIT, SCORE_LIMIT)


def usual_hour_distance(cos_sum: Ints, sin_sum: Ints, own_cos: Ints, own_sin: Ints) -> Floats:
    """Return the hours, 0 to 12, between a time of day and the circular mean of others.

    The mean of times is an angle (Mardia and Jupp, Directional Statistics, 2000); as a feature for
    card fraud: Bahnsen et al., Expert Systems with Applications 51, 2016. It is meaningless if the
    others cancel out, because then no hour is usual.

    >>> usual_hour_distance(*(np.array([x]) for x in (5, 0, 0, 1))).tolist()
    [6.0]
    """
    across = (own_sin * cos_sum - own_cos * sin_sum).astype(np.float64)
    along = (own_cos * cos_sum + own_sin * sin_sum).astype(np.float64)
    hours: Floats = np.round(np.abs(np.arctan2(across, along)) * (12 / math.pi), 3)
    return hours
