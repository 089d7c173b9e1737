"""Windows over the payments of a customer.

Counts and means over days: the fraud-detection handbook (Le Borgne et al.), chapter 3, after Van
Vlasselaer et al., APATE, Decision Support Systems 75, 2015. Velocity over hours: Bahnsen et al.,
Expert Systems with Applications 51, 2016.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from contracts.features import CUSTOMER_WINDOW_DAYS, HISTORY_DAYS
from spark.transforms.features.groups import (
    DAY,
    HISTORY,
    HOUR,
    SECOND,
    Groups,
    Ints,
    amounts_of,
    cents_of,
)

_WIDTHS: Final = {"1h": HOUR, **{f"{days}d": days * DAY for days in CUSTOMER_WINDOW_DAYS}}
HISTORY_NAME: Final = f"{HISTORY_DAYS}d"


def customer_windows(groups: Groups, money: Ints, starts: dict[str, Ints]) -> dict[str, pa.Array]:
    """Return counts, sums and means of the windows, and the time since the previous payment.

    `money` has the amounts as `money_of` returns them, and `starts`, for each window, the number of
    payments before it (`window_starts`).

    >>> groups = Groups.of(np.array([0, 0]), np.array([0, DAY]))
    >>> windows = customer_windows(groups, np.array([[1, 0], [3, 0]]), window_starts(groups))
    >>> windows["customer_amount_mean_7d"].to_pylist()
    [1.0, 2.0]
    """
    through, so_far, cents = groups.through(), groups.running(money), cents_of(money)
    features = {}
    for name, start in starts.items():
        count = through - start
        added = so_far[through] - so_far[start]
        total = cents_of(added)
        features[f"customer_transaction_count_{name}"] = groups.placed(count)
        if name == "1h":
            features["customer_amount_sum_1h"] = amounts_of(*map(groups.placed, added.T))
            continue
        features[f"customer_amount_mean_{name}"] = groups.placed(total / (count * 100))
        if name == "1d":
            features["customer_amount_sum_24h"] = amounts_of(*map(groups.placed, added.T))
        if name == HISTORY_NAME:
            ratio = np.ones(len(total))
            np.divide(cents[groups.order] * count, total, out=ratio, where=total != 0)
            features["amount_to_mean_ratio"] = groups.placed(ratio)
    last, has_last = groups.earlier()
    since = groups.micros - last
    features["time_since_last_seconds"] = groups.placed_where(
        has_last & (since < HISTORY), since // SECOND
    )
    return features


def window_starts(groups: Groups) -> dict[str, Ints]:
    """Return, for each window and payment, the number of payments before the window.

    >>> window_starts(Groups.of(np.array([0, 0]), np.array([0, DAY])))["1d"].tolist()
    [0, 1]
    """
    return {name: groups.before(width) for name, width in _WIDTHS.items()}
