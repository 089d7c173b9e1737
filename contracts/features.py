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
    """One input of the models; its type and description are those of the column of its name.

    `needs` names the columns of a payment without which the feature is null; where a source fills
    none of its rows with them, the feature is not computed. All payments of a day have the same
    value where `is_same_all_day`: a day then never looks like the weeks that a model learnt from,
    so drift, which is measured by day, leaves the feature out.
    """

    name: str
    known: KnownAt
    needs: tuple[str, ...] = ()
    is_same_all_day: bool = False


CUSTOMER_WINDOW_DAYS: Final = (1, 7, 30)
MERCHANT_WINDOW_DAYS: Final = (1, 7, 30)
PAYEE_WINDOW_DAYS: Final = (1, 7)
LABEL_DELAY_DAYS: Final = 7
"""Days that the handbook allows for a fraud to be reported."""
HISTORY_DAYS: Final = max(CUSTOMER_WINDOW_DAYS)
LOOKBACK_DAYS: Final = max(MERCHANT_WINDOW_DAYS) + LABEL_DELAY_DAYS
"""Days before a payment that its features depend on: nothing older is ever read."""

PRIOR_SHARE: Final = 0.01
"""Fraud share assumed before anything is known: 0.8 % in the handbook, 1.2 % in the sample."""
PRIOR_PAYMENTS: Final = 20
"""Payments that the assumption weighs: one fraud in one payment then reads 6 %, not 100 %."""
HABIT_PAYMENTS: Final = 5
"""Earlier payments from which a habit is told: fewer say nothing of a spread or a usual hour."""
LOG_SPREAD_FLOOR: Final = 0.25
"""Least spread of a customer's log amounts, a factor of 1.28: equal amounts make no cent odd."""
SCORE_LIMIT: Final = 10.0
"""Where the score of an odd amount is cut, so that one payment cannot rule a scale."""
TRAVEL_FLOOR_SECONDS: Final = 60
"""Least time between two places, so that two payments of one second have a speed."""

CUSTOMER_PAYEES: Final = "counterparty_type=customer"
"""Stands among the columns a source fills when its payments may go to customers."""
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
"""Raised by hand whenever a name, an order or a formula above changes."""


def fillable(filled: Set[str]) -> tuple[str, ...]:
    """Return the features that payments with these columns can have, in order.

    >>> "is_new_device" in fillable({"counterparty_id"})
    False
    """
    return tuple(feature.name for feature in FEATURES if filled >= set(feature.needs))
