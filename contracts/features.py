"""The feature list: ordered, versioned, and the same for training, batch scoring and the API.

Windows are (t - w, t]: customer windows include the payment itself, windows over labels end
`LABEL_DELAY_DAYS` before it (Le Borgne et al., Reproducible Machine Learning for Credit Card Fraud
Detection, chapter 3). Formulas and their sources are in `spark/transforms/features/`.
"""

from collections.abc import Set
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
    """One input of the models. The column of the same name declares its type and description.

    Without the columns of `needs`, the feature of a payment is null. If a source never fills them,
    the feature is not computed. A feature that `is_same_all_day` has one value for all payments of
    a day: daily drift excludes it, because a day always differs from the weeks of the training
    data.
    """

    name: str
    known: KnownAt
    needs: tuple[str, ...] = ()
    is_same_all_day: bool = False


CUSTOMER_WINDOW_DAYS: Final = (1, 7, 30)
MERCHANT_WINDOW_DAYS: Final = (1, 7, 30)
PAYEE_WINDOW_DAYS: Final = (1, 7)
TRAINING_DAYS: Final = 365
"""Days of features that training reads: each season once. Older frauds follow other patterns."""

LABEL_DELAY_DAYS: Final = 7
"""Days after which a fraud is known, as in the handbook."""
HISTORY_DAYS: Final = max(CUSTOMER_WINDOW_DAYS)
LOOKBACK_DAYS: Final = max(MERCHANT_WINDOW_DAYS) + LABEL_DELAY_DAYS
"""Days of earlier payments that the features of a payment read."""

PRIOR_SHARE: Final = 0.01
"""Prior fraud share: the handbook has 0.8 %, the sample 1.2 %."""
PRIOR_PAYMENTS: Final = 20
"""Weight of the prior in payments: one fraud in one payment gives 6 %, not 100 %."""
HABIT_PAYMENTS: Final = 5
"""Least earlier payments for features of habits: fewer have no reliable spread or hour."""
LOG_SPREAD_FLOOR: Final = 0.25
"""Least spread of a customer's log amounts, a factor of 1.28, for customers with equal amounts."""
SCORE_LIMIT: Final = 10.0
"""Limit of the score of an unusual amount, so that outliers do not dominate its scale."""
TRAVEL_FLOOR_SECONDS: Final = 60
"""Least time between two payments, so that payments in the same second have a finite speed."""

CUSTOMER_PAYEES: Final = "counterparty_type=customer"
"""Pseudo-column in `needs`, filled by sources whose payees may be customers."""
_COUNTERPARTY: Final = ("counterparty_id",)
_PLACE: Final = ("transaction_lat", "transaction_lon")

_K = KnownAt
FEATURES: Final = (
    Feature("amount", _K.EVENT),
    Feature("hour_of_day", _K.EVENT),
    Feature("is_weekend", _K.EVENT, is_same_all_day=True),
    Feature("is_night", _K.EVENT),
    *(
        Feature(f"customer_{measure}_{days}d", _K.HISTORY)
        for days in CUSTOMER_WINDOW_DAYS
        for measure in ("transaction_count", "amount_mean")
    ),
    *(
        Feature(f"merchant_{measure}_{days}d", known, _COUNTERPARTY)
        for days in MERCHANT_WINDOW_DAYS
        for measure, known in (("transaction_count", _K.HISTORY), ("fraud_share", _K.LABELS))
    ),
    Feature("time_since_last_seconds", _K.HISTORY),
    Feature("home_distance_km", _K.EVENT, (*_PLACE, "home_lat", "home_lon")),
    Feature("amount_to_mean_ratio", _K.HISTORY),
    Feature("is_new_merchant", _K.HISTORY, _COUNTERPARTY),
    Feature("is_new_category", _K.HISTORY, ("merchant_category",)),
    Feature("is_new_country", _K.HISTORY, ("country",)),
    Feature("is_new_device", _K.HISTORY, ("device_id",)),
    Feature("customer_transaction_count_1h", _K.HISTORY),
    Feature("customer_amount_sum_1h", _K.HISTORY),
    Feature("customer_amount_sum_24h", _K.HISTORY),
    Feature("amount_log_score", _K.HISTORY),
    Feature("usual_hour_distance_hours", _K.HISTORY),
    Feature("travel_speed_km_per_hour", _K.HISTORY, _PLACE),
    Feature("merchant_fraud_share_smoothed_30d", _K.LABELS, _COUNTERPARTY),
    Feature("category_fraud_share_smoothed_30d", _K.LABELS, ("merchant_category",)),
    *(
        Feature(f"payee_payer_count_{days}d", _K.HISTORY, _COUNTERPARTY)
        for days in PAYEE_WINDOW_DAYS
    ),
    Feature("received_amount_24h", _K.HISTORY, (CUSTOMER_PAYEES,)),
    Feature("amount_to_received_ratio", _K.HISTORY, (CUSTOMER_PAYEES,)),
)
FEATURE_NAMES: Final = tuple(feature.name for feature in FEATURES)
FEATURE_LIST_VERSION: Final = "2"
"""Increase it when a name, the order or a formula of the list changes."""

SOURCE_FEATURES: Final = "source_features"
"""The column of the features that a mapping takes from a file, by name."""
SOURCE_FEATURE_NAME: Final = "[a-z][a-z0-9_]{0,39}"
MOST_SOURCE_FEATURES: Final = 100
"""Most source features of a source. Training has a year of payments in memory: a hundred doubles of
a million payments take 0.8 GB."""


def fillable(filled: Set[str]) -> tuple[str, ...]:
    """Return the features that payments with these columns can have, in order.

    >>> "is_new_device" in fillable({"counterparty_id"})
    False
    """
    return tuple(feature.name for feature in FEATURES if filled >= set(feature.needs))
