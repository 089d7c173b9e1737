"""What a customer does for the first time in a while.

Source: Van Vlasselaer et al., APATE, Decision Support Systems 75, 2015 (recency of customer and
merchant), with a horizon of `HISTORY_DAYS`.
"""

from typing import Final

import pyarrow as pa

from contracts.features import PAYEE_WINDOW_DAYS
from spark.transforms.features.groups import DAY, HISTORY, Groups

NOVELTIES: Final = {
    "merchant": "counterparty_id",
    "category": "merchant_category",
    "country": "country",
    "device": "device_id",
}


def is_new(pairs: Groups) -> pa.Array:
    """Return whether a payer has not met a thing within the history; null where there is none.

    `pairs` groups the payments by payer and thing.
    """
    last, has_last = pairs.earlier()
    return pairs.placed(~(has_last & (pairs.micros - last < HISTORY)))


def presence(pairs: Groups) -> dict[str, pa.Array]:
    """Return, for each window, whether a payer's presence at a payee begins here or ends with it.

    A payment at s makes its payer present in [s, s + w), and until a later one of the same payer at
    least.
    """
    last, has_last = pairs.earlier()
    following, has_following = pairs.later()
    columns = {}
    for days in PAYEE_WINDOW_DAYS:
        width = days * DAY
        columns[f"begins_{days}d"] = pairs.placed(~has_last | (last <= pairs.micros - width))
        columns[f"ends_{days}d"] = pairs.placed(
            ~has_following | (following >= pairs.micros + width)
        )
    return columns
