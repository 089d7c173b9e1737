"""Rules of features, which use only data known at the time of the payment."""

from itertools import pairwise

from contracts.features import (
    CUSTOMER_WINDOW_DAYS,
    FEATURES,
    HISTORY_DAYS,
    MERCHANT_WINDOW_DAYS,
    PAYEE_WINDOW_DAYS,
    PRIOR_PAYMENTS,
    PRIOR_SHARE,
)
from contracts.render.to_gx import WARNING, Rule, base_rules, between, not_below, present_with
from contracts.tables import Table
from expectations.suites.transactions import token_rules

_HALF_EARTH_KM = 20_038


def _nested(prefix: str, days: tuple[int, ...]) -> tuple[Rule, ...]:
    return tuple(
        not_below(
            f"{prefix}_{longer}d",
            f"{prefix}_{shorter}d",
            "a longer window holds all payments of a shorter one that ends with it",
        )
        for shorter, longer in pairwise(days)
    )


def rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules of the features."""
    return (
        *base_rules(table),
        *token_rules(table),
        *_nested("customer_transaction_count", CUSTOMER_WINDOW_DAYS),
        *_nested("merchant_transaction_count", MERCHANT_WINDOW_DAYS),
        *_nested("payee_payer_count", PAYEE_WINDOW_DAYS),
        *(
            present_with(
                feature.name,
                "counterparty_id",
                "each payment with a counterparty has the features of the counterparty",
            )
            for feature in FEATURES
            if feature.needs == ("counterparty_id",)
        ),
        not_below(
            "customer_transaction_count_1d",
            "customer_transaction_count_1h",
            "a day holds all payments of the hour that ends with it",
        ),
        not_below(
            "customer_amount_sum_24h",
            "customer_amount_sum_1h",
            "a day holds all money of the hour that ends with it",
        ),
        not_below(
            "customer_amount_sum_1h",
            "amount",
            "the hour holds the payment itself",
        ),
        *(
            between(
                f"{party}_fraud_share_smoothed_30d",
                0,
                0.9,
                f"{PRIOR_PAYMENTS} assumed payments at {PRIOR_SHARE:.0%} keep a share below 0.9"
                " until 178 payments, all fraud: a source of frauds only, or swapped labels",
                WARNING,
                "plausible",
            )
            for party in ("merchant", "category")
        ),
        between(
            "time_since_last_seconds",
            0,
            HISTORY_DAYS * 86_400,
            f"nothing older than {HISTORY_DAYS} days is read; the sample's longest is 8.7 days",
            what="inside_history",
        ),
        between(
            "home_distance_km",
            0,
            _HALF_EARTH_KM,
            "half the circumference of the earth",
            what="on_earth",
        ),
        between(
            "home_distance_km",
            0,
            300,
            "the farthest payment of the sample is 150 km from home: twice that warns",
            WARNING,
            "plausible",
        ),
        between(
            "customer_transaction_count_1d",
            1,
            66,
            "the busiest customer of the sample pays 22 times a day: three times that warns",
            WARNING,
            "plausible",
        ),
    )
