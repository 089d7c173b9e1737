"""Which features a source can have follows from its declaration."""

import pytest

from contracts.features import CUSTOMER_PAYEES, FEATURE_NAMES, fillable
from spark.jobs.column_coverage import columns_filled

_PLACES = {"home_distance_km", "travel_speed_km_per_hour"}
_CATEGORY = {"is_new_category", "category_fraud_share_smoothed_30d"}
_RECEIVED = {"received_amount_24h", "amount_to_received_ratio"}


@pytest.mark.parametrize(
    ("source", "lacking"),
    [
        ("sparkov", {"is_new_device", *_RECEIVED}),
        ("handbook", {"is_new_device", "is_new_country", *_PLACES, *_CATEGORY, *_RECEIVED}),
        ("paysim1", {"is_new_device", "is_new_country", *_PLACES, *_CATEGORY}),
    ],
)
def test_a_source_has_the_features_whose_columns_it_fills(source: str, lacking: set[str]) -> None:
    assert set(FEATURE_NAMES) - set(fillable(columns_filled(source))) == lacking


def test_only_a_source_that_may_pay_customers_has_money_coming_in() -> None:
    assert CUSTOMER_PAYEES in columns_filled("paysim2")
    assert CUSTOMER_PAYEES not in columns_filled("handbook")


def test_a_source_that_is_declared_no_more_may_have_filled_everything() -> None:
    assert fillable(columns_filled("gone")) == FEATURE_NAMES
