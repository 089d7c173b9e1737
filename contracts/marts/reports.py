"""Tables of PRODUCTION: the reports on fraud."""

from typing import Final

from contracts.table import Table

_DAY: Final = ("event_date", "source_system", "currency")
_EXPECTED: Final = (
    "expected_fraud_count",
    "expected_fraud_count_low",
    "expected_fraud_count_high",
)
_PERIOD: Final = (
    "period_type",
    "period_start",
    "source_system",
    "currency",
    "country",
    "channel",
)
_PATTERN: Final = (
    "event_date",
    "source_system",
    "currency",
    "country",
    "merchant_category",
    "channel",
    "payment_method",
    "day_of_week",
    "event_hour",
    "amount_band",
    "amount_band_rank",
    "merchant_familiarity",
)

TABLES: Final = (
    Table(
        "production.rpt_fraud_daily",
        "business date, source system and currency",
        _DAY,
        (
            *_DAY,
            "transaction_count",
            "amount",
            "customer_count",
            "known_fraud_count",
            "known_fraud_amount",
            "known_fraud_ratio",
            "label_maturity_share",
            *_EXPECTED,
            "expected_fraud_ratio",
            "expected_fraud_ratio_low",
            "expected_fraud_ratio_high",
            "as_of_date",
        ),
        "event_date",
        also_nullable=("label_maturity_share",),
    ),
    Table(
        "production.rpt_fraud_delays",
        "business date, source system, currency and delay until a fraud was known",
        (*_DAY, "delay_days"),
        (*_DAY, "delay_days", "known_fraud_count", "known_fraud_amount"),
        "event_date",
    ),
    Table(
        "production.rpt_fraud_maturity",
        "source system and age of a business date",
        ("source_system", "age_days"),
        (
            "source_system",
            "age_days",
            "known_fraud_count",
            "cohort_fraud_count",
            "label_maturity_share",
            "as_of_date",
        ),
    ),
    Table(
        "production.rpt_maturity_backtest",
        "matured business date, age at which it was looked at, source system and currency",
        ("event_date", "age_days", "source_system", "currency"),
        (
            "event_date",
            "age_days",
            "source_system",
            "currency",
            "as_of_date",
            "cohort_fraud_count",
            "label_maturity_share",
            "known_fraud_count",
            *_EXPECTED,
            "final_fraud_count",
            "is_covered",
        ),
        "event_date",
        also_nullable=("cohort_fraud_count", "label_maturity_share"),
    ),
    Table(
        "production.rpt_fraud_overview",
        "period, source system, currency, country and channel",
        _PERIOD,
        (
            *_PERIOD,
            "transaction_count",
            "amount",
            "known_fraud_count",
            "known_fraud_amount",
            "known_fraud_ratio",
            "known_fraud_value_ratio",
            "as_of_date",
        ),
        "period_start",
        never_null=("country",),
    ),
    Table(
        "production.rpt_fraud_patterns",
        "business date, source system, currency and trait of payments",
        tuple(name for name in _PATTERN if name not in ("day_of_week", "amount_band_rank")),
        (
            *_PATTERN,
            "transaction_count",
            "amount",
            "known_fraud_count",
            "known_fraud_amount",
            "as_of_date",
        ),
        "event_date",
        never_null=("country", "merchant_category"),
    ),
    Table(
        "production.rpt_fraud_rolling",
        "calendar date, source system, currency and window of days that ends with it",
        ("calendar_date", "source_system", "currency", "window_days"),
        (
            "calendar_date",
            "source_system",
            "currency",
            "window_days",
            "transaction_count",
            "amount",
            "known_fraud_count",
            "known_fraud_amount",
            "active_customer_count",
        ),
        "calendar_date",
    ),
)
