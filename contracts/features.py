"""The feature list: ordered, versioned, and the same for training, batch scoring and the API.

Formulas follow the fraud-detection handbook, chapter 3 (Le Borgne et al., Reproducible Machine
Learning for Credit Card Fraud Detection): windows are (t - w, t], customer windows include the
payment itself, counterparty windows end `LABEL_DELAY_DAYS` before it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class KnownAt(StrEnum):
    """When the value of a feature is known."""

    EVENT = "with the payment itself"
    HISTORY = "from payments up to this one"
    LABELS = "from labels known by the time of this payment"


@dataclass(frozen=True)
class Feature:
    """One input of the models; its type and description are those of the column of its name."""

    name: str
    known: KnownAt


CUSTOMER_WINDOW_DAYS: Final = (1, 7, 30)
MERCHANT_WINDOW_DAYS: Final = (1, 7, 30)
LABEL_DELAY_DAYS: Final = 7
"""Days that the handbook allows for a fraud to be reported."""
HISTORY_DAYS: Final = max(CUSTOMER_WINDOW_DAYS)
LOOKBACK_DAYS: Final = max(MERCHANT_WINDOW_DAYS) + LABEL_DELAY_DAYS
"""Days before a payment that its features depend on: nothing older is ever read."""

_K = KnownAt
FEATURES: Final = (
    Feature("amount", _K.EVENT),
    Feature("hour_of_day", _K.EVENT),
    Feature("is_weekend", _K.EVENT),
    Feature("is_night", _K.EVENT),
    *(
        Feature(f"customer_{measure}_{days}d", _K.HISTORY)
        for days in CUSTOMER_WINDOW_DAYS
        for measure in ("transaction_count", "amount_mean")
    ),
    *(
        Feature(f"merchant_{measure}_{days}d", known)
        for days in MERCHANT_WINDOW_DAYS
        for measure, known in (("transaction_count", _K.HISTORY), ("fraud_share", _K.LABELS))
    ),
    Feature("time_since_last_seconds", _K.HISTORY),
    Feature("home_distance_km", _K.EVENT),
    Feature("amount_to_mean_ratio", _K.HISTORY),
    Feature("is_new_merchant", _K.HISTORY),
    Feature("is_new_category", _K.HISTORY),
)
FEATURE_NAMES: Final = tuple(feature.name for feature in FEATURES)
FEATURE_LIST_VERSION: Final = "1"
"""Raised by hand whenever a name, an order or a formula above changes."""
