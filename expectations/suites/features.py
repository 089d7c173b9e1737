"""Features: what was known about a payment at its own time."""

from itertools import pairwise

from contracts.features import CUSTOMER_WINDOW_DAYS, HISTORY_DAYS, MERCHANT_WINDOW_DAYS
from contracts.render.to_gx import WARNING, Rule, base_rules, between, not_below
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
            "the sample's farthest payment is 150 km from home: twice that is news",
            WARNING,
            "plausible",
        ),
        between(
            "customer_transaction_count_1d",
            1,
            66,
            "the sample's busiest customer pays 22 times in a day: three times that is news",
            WARNING,
            "plausible",
        ),
    )
