"""Independent random streams, one for each seed, day and purpose."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What random numbers are drawn for. Values are part of the output: append, never renumber."""

    CUSTOMERS = 0
    MERCHANTS = 1
    ADDRESSES = 2
    TRIPS = 3
    HONEST = 4
    LATE = 5
    LABELS = 6
    DIRT = 7
    FAVOURITES = 8
    CARD_TESTING = 20
    ACCOUNT_TAKEOVER = 21
    COMPROMISED_TERMINAL = 22
    IMPOSSIBLE_TRAVEL = 23
    MULE = 24
    FRIENDLY_FRAUD = 25


def stream(seed: int, day: int, purpose: Purpose, part: int = 0) -> np.random.Generator:
    """Return the generator of a day, a purpose and a part of it.

    No stream depends on another one, so days may be made in any order and by any process.

    >>> first, again = (stream(7, 3, Purpose.HONEST) for _ in range(2))
    >>> bool(first.random() == again.random())
    True
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(day, int(purpose), part))
    return np.random.Generator(np.random.PCG64(sequence))
