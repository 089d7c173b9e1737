"""Tables of PRODUCTION: the dimensions and the facts of payments."""

from typing import Final

from contracts.lake_tables import (
    CUSTOMER_GRAIN,
    EVENT_KEY,
    LABEL,
    LABEL_GRAIN,
    LABEL_KEY,
    MERCHANT_GRAIN,
    TRANSACTION,
    TRANSACTION_GRAIN,
)
from contracts.table import Table

VERSION: Final = ("valid_from", "valid_to", "is_current", "changed_at")
TABLES: Final = (
    Table(
        "production.dim_customers",
        f"version of a {CUSTOMER_GRAIN}",
        ("source_system", "customer_id", "valid_from"),
        (
            "customer_id",
            "source_system",
            *VERSION,
            "region",
            "home_lat",
            "home_lon",
            "country",
            "first_event_at",
            "last_event_at",
        ),
    ),
    Table(
        "production.dim_merchants",
        f"version of a {MERCHANT_GRAIN}",
        ("source_system", "counterparty_id", "valid_from"),
        (
            "counterparty_id",
            "source_system",
            *VERSION,
            "counterparty_type",
            "merchant_category",
            "first_event_at",
            "last_event_at",
        ),
    ),
    Table(
        "production.dim_currencies",
        "currency code",
        ("currency",),
        ("currency", "currency_name", "minor_unit_digits", "numeric_code", "is_listed"),
    ),
    Table(
        "production.dim_dates",
        "calendar date",
        ("calendar_date",),
        (
            "calendar_date",
            "calendar_year",
            "calendar_quarter",
            "calendar_month",
            "month_name",
            "month_start",
            "iso_week",
            "week_start",
            "day_of_week",
            "day_name",
            "is_weekend",
        ),
    ),
    Table(
        "production.fct_transactions",
        TRANSACTION_GRAIN,
        EVENT_KEY,
        (*TRANSACTION, "delivered_date", "customer_valid_from", "merchant_valid_from"),
        "event_date",
    ),
    Table("production.fct_fraud_labels", LABEL_GRAIN, LABEL_KEY, LABEL, "event_date"),
)
