"""How a payment differs from what its customer usually does, told by integer sums.

Each habit is a handful of integers a payment, summed by growing frames; so the same payments in any
order, in a day's run or a whole history, give the same bits.
"""

import math
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from contracts.features import HABIT_PAYMENTS, LOG_SPREAD_FLOOR, SCORE_LIMIT
from spark.transforms.features.frames import DAY

_LOG_UNITS: Final = 100
_CIRCLE_UNITS: Final = 1_000_000
HABITS: Final = ("log", "log_square", "clock_cos", "clock_sin")


def habit_terms() -> dict[str, Column]:
    """Return the integers of one payment: its log amount, the square, its place on the clock.

    The log is that of one plus the cents, in hundredths. The place on the clock is null where the
    source's times are an order only.
    """
    log = F.round(F.log1p("cents") * _LOG_UNITS).cast("bigint")
    angle = F.pmod("micros", F.lit(DAY)) * (2 * math.pi / DAY)
    is_clock = F.col("event_at_precision") != "ordinal"
    return {
        "log": log,
        "log_square": log * log,
        "clock_cos": F.when(is_clock, F.round(F.cos(angle) * _CIRCLE_UNITS).cast("bigint")),
        "clock_sin": F.when(is_clock, F.round(F.sin(angle) * _CIRCLE_UNITS).cast("bigint")),
    }


def amount_log_score(count: Column, log_sum: Column, square_sum: Column, own: Column) -> Column:
    """Return how many standard deviations a log amount lies from the mean of `count` others.

    A robust alternative to (amount - median) / MAD (Iglewicz and Hoaglin, How to Detect and Handle
    Outliers, 1993): amounts are about log-normal (Limpert, Stahel, Abbt, BioScience 51, 2001), so
    the logarithm takes the weight from outliers, and its sums are exact where a running median is
    not a sum. The spread is at least `LOG_SPREAD_FLOOR`, the score is cut at `SCORE_LIMIT`.

    >>> args = [F.lit(x) for x in (10, 5000, 2502250, 560)]
    >>> spark.range(1).select(amount_log_score(*args).alias("score")).first()
    Row(score=2.4)
    """
    n, mean_times_n = count.cast("double"), log_sum.cast("double")
    variance = (n * square_sum - mean_times_n * mean_times_n) / (n * n)
    spread = F.greatest(
        F.sqrt(F.greatest(variance, F.lit(0.0))), F.lit(LOG_SPREAD_FLOOR * _LOG_UNITS)
    )
    score = F.round((own - mean_times_n / n) / spread, 6)
    cut = F.greatest(F.least(score, F.lit(SCORE_LIMIT)), F.lit(-SCORE_LIMIT))
    return F.when(count >= HABIT_PAYMENTS, cut)


def usual_hour_distance(
    count: Column, cos_sum: Column, sin_sum: Column, own_cos: Column, own_sin: Column
) -> Column:
    """Return the hours, 0 to 12, between a time of day and the circular mean of `count` others.

    The mean of times is an angle (Mardia and Jupp, Directional Statistics, 2000); as a feature for
    card fraud: Bahnsen et al., Expert Systems with Applications 51, 2016. Null when the others
    cancel out, for then no hour is usual.

    >>> args = [F.lit(x) for x in (5, 5, 0, 0, 1)]
    >>> spark.range(1).select(usual_hour_distance(*args).alias("hours")).first()
    Row(hours=6.0)
    """
    across = own_sin * cos_sum - own_cos * sin_sum
    along = own_cos * cos_sum + own_sin * sin_sum
    hours = F.round(F.abs(F.atan2(across, along)) * (12 / math.pi), 3)
    has_mean = (cos_sum != 0) | (sin_sum != 0)
    return F.when((count >= HABIT_PAYMENTS) & has_mean, hours)
