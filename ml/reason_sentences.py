"""The reasons of a score as sentences that compare a payment with its customer and counterparty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from contracts.columns import COLUMNS
from contracts.features import LABEL_DELAY_DAYS

_DELAYED: Final = f"ended {LABEL_DELAY_DAYS} days before"
_WINDOWS: Final = {
    "1h": "an hour",
    "24h": "24 hours",
    "1d": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
}
_BY_WINDOW: Final = {
    "customer_transaction_count": "Payment {value:,.0f} of the customer in {window}.",
    "customer_amount_mean": "The customer's mean amount in {window} is {value:,.2f} {currency}.",
    "customer_amount_sum": "The customer has paid {value:,.2f} {currency} in {window}.",
    "merchant_transaction_count": "The counterparty had {value:,.0f} payments in {window} that"
    f" {_DELAYED}.",
    "merchant_fraud_share": "Of the payments at the counterparty in {window} that"
    f" {_DELAYED}, {{value:.1%}} are known as fraud.",
    "merchant_fraud_share_smoothed": "The smoothed share of fraud at the counterparty in {window}"
    f" that {_DELAYED} is {{value:.1%}}.",
    "category_fraud_share_smoothed": "The smoothed share of fraud in the merchant category in"
    f" {{window}} that {_DELAYED} is {{value:.1%}}.",
    "payee_payer_count": "{value:,.0f} customers have paid the counterparty in {window}.",
    "received_amount": "The customer received {value:,.2f} {currency} in the {window} before.",
}
_OTHERS: Final = {
    "amount": "The amount is {value:,.2f} {currency}.",
    "hour_of_day": "The payment is in hour {value:.0f} of the day, UTC.",
    "time_since_last_seconds": "The customer's previous payment was {value:,.0f} seconds before.",
    "home_distance_km": "The payment is {value:,.1f} km from the customer's home.",
    "amount_to_mean_ratio": "The amount of {amount:,.2f} {currency} is {value:,.1f} times the"
    " customer's 30-day mean of {customer_amount_mean_30d:,.2f}.",
    "amount_log_score": "The amount of {amount:,.2f} {currency} is {value:+,.1f} standard"
    " deviations from the customer's usual amounts, on a logarithmic scale.",
    "usual_hour_distance_hours": "The time is {value:,.1f} hours from the customer's usual one.",
    "travel_speed_km_per_hour": "The customer would have travelled at {value:,.0f} km/h since the"
    " previous payment.",
    "amount_to_received_ratio": "The amount is {value:,.2f} times the money that the customer"
    " received in the 24 hours before.",
}
_FLAGS: Final = {
    "is_weekend": ("The payment is on a weekend.", "The payment is not on a weekend."),
    "is_night": (
        "The payment is between 00:00 and 07:00 UTC.",
        "The payment is not between 00:00 and 07:00 UTC.",
    ),
    **{
        f"is_new_{name}": (
            f"The customer's first payment {what} in 30 days.",
            f"The customer has paid {what} in the 30 days before.",
        )
        for name, what in (
            ("merchant", "to this counterparty"),
            ("category", "in this merchant category"),
            ("country", "in this country"),
            ("device", "from this device"),
        )
    },
}


def sentence(feature: str, row: Mapping[str, Any]) -> str:
    """Return a sentence about a feature that raised the score of a payment.

    `row` has the features of the payment by name, and its currency.

    >>> row = {"amount": 943.22, "currency": "USD", "amount_to_mean_ratio": 6.2}
    >>> sentence("amount_to_mean_ratio", row | {"customer_amount_mean_30d": 152.1})
    "The amount of 943.22 USD is 6.2 times the customer's 30-day mean of 152.10."
    """
    value = row[feature]
    if value is None:
        return f"Unknown: {COLUMNS[feature].description}"
    if feature in _FLAGS:
        return _FLAGS[feature][not value]
    name, _, window = feature.rpartition("_")
    text = _OTHERS.get(feature) or _BY_WINDOW[name]
    return text.format(value=value, window=_WINDOWS.get(window), **row)
