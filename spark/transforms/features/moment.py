"""Features of the payment alone: the time of day and of the week.

Source: the fraud-detection handbook (Le Borgne et al.), chapter 3, date and time transformations.
"""

import pyarrow as pa

from spark.transforms.features.groups import DAY, HOUR, Ints

_FIRST_WEEKDAY = 3  # 1970-01-01 was a Thursday, the fourth day of its week


def of_the_payment(micros: Ints) -> dict[str, pa.Array]:
    """Return hour, weekend (Saturday, Sunday) and night (hour 0 to 6), all in UTC.

    >>> import numpy as np
    >>> of_the_payment(np.array([2 * DAY + 5 * HOUR]))["is_weekend"].to_pylist()
    [True]
    """
    hour = micros % DAY // HOUR
    weekday = (micros // DAY + _FIRST_WEEKDAY) % 7
    return {
        "hour_of_day": pa.array(hour),
        "is_weekend": pa.array(weekday >= 5),
        "is_night": pa.array(hour <= 6),
    }
