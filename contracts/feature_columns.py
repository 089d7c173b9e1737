"""The columns of the features; `contracts/features.py` has their order, windows and constants."""

from typing import Final

from contracts.column import Column, LogicalType
from contracts.features import (
    CUSTOMER_WINDOW_DAYS,
    HABIT_PAYMENTS,
    LABEL_DELAY_DAYS,
    MERCHANT_WINDOW_DAYS,
    PAYEE_WINDOW_DAYS,
    PRIOR_PAYMENTS,
    PRIOR_SHARE,
    SCORE_LIMIT,
)

_T = LogicalType
_ASSUMED = f"{PRIOR_PAYMENTS} payments with {PRIOR_SHARE:.0%} fraud added"

_OF_THE_PAYMENT: Final = (
    Column("is_weekend", _T.BOOLEAN, "Whether the payment was on a Saturday or Sunday, UTC."),
    Column("is_night", _T.BOOLEAN, "Whether the payment was at 00:00 to 06:59, UTC."),
    Column("hour_of_day", _T.INTEGER, "UTC hour of the payment.", minimum=0, maximum=23),
    Column(
        "home_distance_km",
        _T.DOUBLE,
        "Great-circle distance from the payer's home to the payment.",
        nullable=True,
        unit="kilometres",
        minimum=0,
    ),
)

_OF_THE_CUSTOMER: Final = (
    *(
        column
        for days in CUSTOMER_WINDOW_DAYS
        for column in (
            Column(
                f"customer_transaction_count_{days}d",
                _T.LONG,
                f"Payments of the customer in the {days} days up to and including this one.",
                minimum=1,
            ),
            Column(
                f"customer_amount_mean_{days}d",
                _T.DOUBLE,
                f"Mean amount of the customer in the {days} days up to and including this payment.",
                unit="currency",
                minimum=0,
            ),
        )
    ),
    Column(
        "customer_transaction_count_1h",
        _T.LONG,
        "Payments of the customer in the hour up to and including this one.",
        minimum=1,
    ),
    *(
        Column(
            f"customer_amount_sum_{hours}h",
            _T.MONEY,
            f"Money that the customer paid in the {hours} h up to and including this payment, in"
            " `currency`.",
            unit="currency",
            minimum=0,
        )
        for hours in (1, 24)
    ),
    Column(
        "time_since_last_seconds",
        _T.LONG,
        "Seconds since the customer's previous payment; null when none in 30 days.",
        nullable=True,
        unit="seconds",
        minimum=0,
    ),
    Column(
        "amount_to_mean_ratio",
        _T.DOUBLE,
        "Amount over the customer's 30-day mean; 1 when the mean is 0.",
        unit="ratio",
        minimum=0,
    ),
    Column(
        "amount_log_score",
        _T.DOUBLE,
        "Log amount minus the customer's mean of the 30 days before, in standard deviations;"
        f" null with fewer than {HABIT_PAYMENTS} payments in them.",
        nullable=True,
        unit="standard deviations",
        minimum=-SCORE_LIMIT,
        maximum=SCORE_LIMIT,
    ),
    Column(
        "usual_hour_distance_hours",
        _T.DOUBLE,
        "Circular distance in hours from the customer's mean time of day of the 30 days before;"
        f" null with fewer than {HABIT_PAYMENTS} payments in them, or if the source has no times.",
        nullable=True,
        unit="hours",
        minimum=0,
        maximum=12,
    ),
    Column(
        "travel_speed_km_per_hour",
        _T.DOUBLE,
        "Speed of travel from the customer's previous payment with a location; null when none in"
        " 30 days.",
        nullable=True,
        unit="kilometres per hour",
        minimum=0,
    ),
    *(
        Column(
            f"is_new_{name}",
            _T.BOOLEAN,
            f"Whether the customer had no payment {what} in the 30 days before; null where the"
            " source lacks the column.",
            nullable=True,
        )
        for name, what in (
            ("merchant", "to this counterparty"),
            ("category", "in this merchant category"),
            ("country", "in this country"),
            ("device", "from this device"),
        )
    ),
)

_OF_THE_COUNTERPARTY: Final = (
    *(
        column
        for days in MERCHANT_WINDOW_DAYS
        for column in (
            Column(
                f"merchant_transaction_count_{days}d",
                _T.LONG,
                f"Payments at the counterparty in the {days} days that ended"
                f" {LABEL_DELAY_DAYS} days before; null without a counterparty.",
                nullable=True,
                minimum=0,
            ),
            Column(
                f"merchant_fraud_share_{days}d",
                _T.DOUBLE,
                f"Share of those {days} days' payments at the counterparty known to be fraud by"
                " the time of this one; 0 when there were none, null without a counterparty.",
                nullable=True,
                unit="ratio",
                minimum=0,
                maximum=1,
            ),
        )
    ),
    Column(
        "merchant_fraud_share_smoothed_30d",
        _T.DOUBLE,
        f"The 30-day fraud share of the counterparty with {_ASSUMED}; null without one.",
        nullable=True,
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    Column(
        "category_fraud_share_smoothed_30d",
        _T.DOUBLE,
        f"Share of the merchant category's payments of 30 whole days that ended"
        f" {LABEL_DELAY_DAYS} days before this one's day, known to be fraud by its start, with"
        f" {_ASSUMED}; null without a category.",
        nullable=True,
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    *(
        Column(
            f"payee_payer_count_{days}d",
            _T.LONG,
            f"Distinct customers who paid the counterparty in the {days} days up to and including"
            " this payment; null without a counterparty.",
            nullable=True,
            minimum=1,
        )
        for days in PAYEE_WINDOW_DAYS
    ),
    Column(
        "received_amount_24h",
        _T.MONEY,
        "Money that the payer received from other customers in the 24 h before, in `currency`; null"
        " if payees of the source are never customers.",
        nullable=True,
        unit="currency",
        minimum=0,
    ),
    Column(
        "amount_to_received_ratio",
        _T.DOUBLE,
        "Amount over `received_amount_24h`; null when nothing was received.",
        nullable=True,
        unit="ratio",
        minimum=0,
    ),
)

FEATURE_COLUMNS: Final = (*_OF_THE_PAYMENT, *_OF_THE_CUSTOMER, *_OF_THE_COUNTERPARTY)
