"""First payments of a customer with a counterparty, category, country or device in a period.

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
    """Return whether a payer had no payment with a thing within the history; null without a thing.

    `pairs` groups the payments by payer and thing.

    >>> import numpy as np
    >>> is_new(Groups.of(np.array([0, 0]), np.array([0, DAY]))).to_pylist()
    [True, False]
    """
    last, has_last = pairs.earlier()
    return pairs.placed(~(has_last & (pairs.micros - last < HISTORY)))


def presence(pairs: Groups) -> dict[str, pa.Array]:
    """Return, for each window, whether the presence of a payer begins or ends at a payment.

    A payment at s makes its payer present at the payee in [s, s + w); a later payment of the same
    payer before the end extends the presence.

    >>> import numpy as np
    >>> edges = presence(Groups.of(np.array([0, 0]), np.array([0, HISTORY * 2])))
    >>> {all(edge.to_pylist()) for edge in edges.values()}
    {True}
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
