import doctest
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.columns import COLUMNS, MOST_REASONS, LogicalType
from contracts.features import FEATURE_NAMES, SOURCE_FEATURES
from contracts.fraud_rules import VELOCITIES, FraudRule, fraud_rules
from ml import reason_sentences
from ml.reason_sentences import reasons_of, sentence

FIGURES = {name: COLUMNS[name] for name in FEATURE_NAMES} | dict(VELOCITIES)
ROW: dict[str, Any] = {
    name: column.type is LogicalType.BOOLEAN or 3.25 for name, column in FIGURES.items()
} | {"currency": "USD"}
TYPICAL = dict.fromkeys(FEATURE_NAMES, 2.0)
CUSTOMER: dict[str, Any] = {
    "currency": "USD",
    "amount": Decimal("943.2200"),
    "customer_transaction_count_30d": 45,
    "customer_amount_mean_30d": 152.104,
    "usual_hour_distance_hours": 7.53,
}
ONLY = CUSTOMER | {"customer_transaction_count_30d": 1, "customer_amount_mean_30d": 943.22}
UNKNOWN = CUSTOMER | {"customer_transaction_count_30d": None, "customer_amount_mean_30d": None}

CASES: list[tuple[dict[str, Any], str, Any, str]] = [
    (
        CUSTOMER,
        "amount",
        Decimal("943.2200"),
        "The amount is 943.22 USD; the customer's mean of 30 days is 152.10 USD.",
    ),
    (
        ONLY,
        "amount",
        Decimal("943.2200"),
        "The amount is 943.22 USD; the customer has no other payment in 30 days.",
    ),
    (UNKNOWN, "amount", Decimal("943.2200"), "The amount is 943.22 USD."),
    (
        CUSTOMER | {"currency": "JPY"},
        "amount",
        Decimal(94_300),
        "The amount is 94,300 JPY; the customer's mean of 30 days is 152 JPY.",
    ),
    (UNKNOWN | {"currency": "KWD"}, "amount", Decimal("1.2340"), "The amount is 1.234 KWD."),
    (UNKNOWN | {"currency": "XXX"}, "amount", Decimal(9), "The amount is 9.00."),
    (
        CUSTOMER,
        "amount_to_mean_ratio",
        6.2,
        "The amount of 943.22 USD is 6.2 times the customer's 30-day mean of 152.10 USD.",
    ),
    (
        ONLY,
        "amount_to_mean_ratio",
        1.0,
        "The amount of 943.22 USD is 1.0 times the customer's 30-day mean of 943.22 USD; the "
        "customer has no other payment in 30 days.",
    ),
    (
        CUSTOMER,
        "customer_transaction_count_1d",
        7,
        "The customer made 7 payments in 24 hours; the mean of 30 days is 1.5 a day.",
    ),
    (UNKNOWN, "customer_transaction_count_1h", 1, "The customer made 1 payment in an hour."),
    (
        CUSTOMER,
        "customer_transaction_count_30d",
        45,
        "The customer made 45 payments in 30 days; the median in training is 2 payments.",
    ),
    (
        CUSTOMER,
        "customer_amount_mean_1d",
        800.0,
        "The customer's mean amount in 24 hours is 800.00 USD; in 30 days it is 152.10 USD.",
    ),
    (
        CUSTOMER,
        "customer_amount_mean_30d",
        152.1,
        "The customer's mean amount in 30 days is 152.10 USD; this payment is 943.22 USD.",
    ),
    (
        CUSTOMER,
        "customer_amount_sum_24h",
        Decimal(2000),
        "The customer paid 2,000.00 USD in 24 hours; the mean of 30 days is 228.16 USD a day.",
    ),
    (
        CUSTOMER,
        "time_since_last_seconds",
        40,
        "The customer's previous payment was 40 seconds before; the mean interval of 30 days "
        "is 16.0 hours.",
    ),
    (
        CUSTOMER,
        "time_since_last_seconds",
        1,
        "The customer's previous payment was 1 second before; the mean interval of 30 days is "
        "16.0 hours.",
    ),
    (ONLY, "time_since_last_seconds", None, "The customer has no other payment in 30 days."),
    (
        CUSTOMER,
        "hour_of_day",
        3,
        "The payment was made in the hour from 03:00 UTC, 7.5 hours from the customer's usual "
        "time of day.",
    ),
    (
        CUSTOMER | {"usual_hour_distance_hours": None},
        "is_night",
        True,
        "The payment was made between 00:00 and 07:00 UTC.",
    ),
    (
        CUSTOMER,
        "is_new_merchant",
        True,
        "The payment is the customer's first to this counterparty in 30 days; the customer "
        "made 45 payments in that time.",
    ),
    (
        CUSTOMER,
        "is_new_device",
        None,
        "It is unknown whether the customer has paid from this device before.",
    ),
    (
        CUSTOMER,
        "amount_log_score",
        -3.21,
        "The amount of 943.22 USD is 3.2 standard deviations below the customer's usual "
        "amounts, on a logarithmic scale; the customer's mean of 30 days is 152.10 USD.",
    ),
    (
        CUSTOMER,
        "home_distance_km",
        812.34,
        "The payment was made 812.3 km from the customer's home; the median in training is 2.0 km.",
    ),
    (
        CUSTOMER | {"merchant_transaction_count_7d": 1, "merchant_fraud_share_30d": 0.25},
        "merchant_fraud_share_7d",
        1.0,
        "The share of known fraud at the counterparty in the 7 days that ended 7 days before "
        "is 100.0% of 1 payment; it is 25.0% in 30 days.",
    ),
    (
        CUSTOMER | {"payee_payer_count_7d": 1},
        "payee_payer_count_1d",
        1,
        "1 customer paid the counterparty in 24 hours; 1 customer did in 7 days.",
    ),
    (
        CUSTOMER,
        "category_fraud_share_smoothed_30d",
        0.0623,
        "The smoothed share of known fraud in the merchant category in the 30 days that ended "
        "7 days before is 6.2%; it is 1.0% without payments.",
    ),
    (
        CUSTOMER,
        "amount_to_received_ratio",
        None,
        "The customer is not known to have received money in the 24 hours before.",
    ),
    (CUSTOMER, "card_city_count_60s", 1, "The card paid in 1 city in a minute."),
    (CUSTOMER, "card_country_count_3600s", 2, "The card paid in 2 countries in an hour."),
]


@pytest.mark.parametrize(("row", "feature", "value", "expected"), CASES)
def test_a_sentence_compares_with_what_is_usual_for_the_customer(
    row: dict[str, Any], feature: str, value: Any, expected: str
) -> None:
    assert sentence(feature, row | {feature: value}, TYPICAL) == expected


@pytest.mark.parametrize("figure", FIGURES)
def test_every_feature_and_velocity_has_a_text(figure: str) -> None:
    known = sentence(figure, ROW, TYPICAL)
    assert not known.startswith(figure), "add the feature to ml/reason_sentences.py"
    if FIGURES[figure].nullable and figure in FEATURE_NAMES:
        unknown = sentence(figure, ROW | {figure: None}, TYPICAL)
        assert unknown != f"{figure} is unknown.", "add the text for a row without a value"
    if FIGURES[figure].type is LogicalType.BOOLEAN:
        assert sentence(figure, ROW | {figure: False}, TYPICAL) != known
    else:
        assert re.search(r"3|100", known)


def value_of(figure: str) -> st.SearchStrategy[Any]:
    column = FIGURES[figure]
    if column.type is LogicalType.BOOLEAN:
        return st.none() | st.booleans()
    if column.type is LogicalType.MONEY:
        return st.none() | st.decimals(0, 10**12, places=4)
    low, high = int(column.minimum or 0), int(column.maximum or 10**9)
    if column.type is LogicalType.DOUBLE:
        return st.none() | st.just(float("nan")) | st.floats(low, high)
    return st.none() | st.integers(low, 23 if "hour" in figure else high)


@given(
    st.fixed_dictionaries({name: value_of(name) for name in FIGURES}),
    st.sampled_from(["USD", "JPY", "KWD", "XXX"]),
    st.dictionaries(st.sampled_from(FEATURE_NAMES), st.floats(0, 10**6) | st.just(float("nan"))),
)
def test_any_payment_has_whole_sentences(
    row: dict[str, Any], currency: str, typical: dict[str, float]
) -> None:
    for figure in FIGURES:
        text = sentence(figure, row | {"currency": currency}, typical)
        assert text.endswith(".")
        assert not re.search(r"nan|None|[{}]|(?<![.,\d])1 [a-z]+s\b|\binf\b|XXX", text)


def test_a_feature_of_the_source_is_compared_with_training() -> None:
    row = {"currency": "USD", SOURCE_FEATURES: [("v1", -3.25), ("v2", None)]}
    assert sentence("v1", row, {"v1": 0.5}) == "v1 is -3.25; the median in training is 0.5."
    assert sentence("v2", row, {"v2": 0.5}) == "v2 is unknown."
    assert sentence("v3", row, {}) == "v3 is unknown."


def rules(*codes: str) -> list[FraudRule]:
    return [rule for rule in fraud_rules().rules if rule.code in codes]


def test_rules_come_first_with_the_figures_that_made_them_fire() -> None:
    row = CUSTOMER | {"card_transaction_count_60s": 4, "card_city_count_60s": 2, "hour_of_day": 3}
    fired = rules("HIGH_AMOUNT", "VELOCITY_MULTI_CITY")
    found = reasons_of(fired, ["hour_of_day"], row, {})
    assert [one.code for one in found] == ["HIGH_AMOUNT", "VELOCITY_MULTI_CITY", "HOUR_OF_DAY"]
    assert found[1].sentence == (
        "A card pays more than three times within a minute, in several cities. The card made 4"
        " payments in a minute; the customer's mean of 30 days is 1.5 a day. The card paid in 2"
        " cities in a minute."
    )


def test_each_rule_has_a_sentence_in_words() -> None:
    for rule in fraud_rules().rules:
        (reason,) = reasons_of([rule], [], ROW, {})
        assert not re.search(r"_| is unknown", reason.sentence)


def test_reasons_are_four_at_most() -> None:
    features = ["amount", "hour_of_day", "amount_to_mean_ratio"]
    found = reasons_of(rules("HIGH_AMOUNT", "UNUSUAL_HOUR"), features, ROW, {})
    assert len(found) == MOST_REASONS
    assert [one.code for one in found[2:]] == ["AMOUNT", "HOUR_OF_DAY"]
    assert len(reasons_of(list(fraud_rules().rules), features, ROW, {})) == MOST_REASONS


def test_the_examples_are_true() -> None:
    assert doctest.testmod(reason_sentences).failed == 0
