"""Columns of PRODUCTION: the reports on fraud."""

from typing import Final

from contracts.column import Column, LogicalType, PersonalData

_T = LogicalType
_P = PersonalData

_EXPECTED: Final = tuple(
    column
    for end, interval in (
        ("", ""),
        ("_low", ", low end of the 90 % interval"),
        ("_high", ", high end of the 90 % interval"),
    )
    for column in (
        Column(
            f"expected_fraud_count{end}",
            _T.LONG if end else _T.DOUBLE,
            f"Expected frauds after all labels of the date are known{interval}; null without"
            " enough mature dates.",
            nullable=True,
            minimum=0,
        ),
        Column(
            f"expected_fraud_ratio{end}",
            _T.DOUBLE,
            f"Expected frauds over payments{interval}.",
            nullable=True,
            unit="ratio",
            minimum=0,
        ),
    )
)

COLUMNS: Final[tuple[Column, ...]] = (
    Column("as_of_date", _T.DATE, "Last business date with labels that the figures use."),
    Column("transaction_count", _T.LONG, "Payments.", minimum=0),
    Column("known_fraud_count", _T.LONG, "Payments known to be fraud as of the date.", minimum=0),
    Column(
        "known_fraud_amount",
        _T.MONEY,
        "Amount of payments known to be fraud as of the date.",
        unit="currency",
        personal=_P.FINANCIAL,
    ),
    Column(
        "known_fraud_ratio",
        _T.DOUBLE,
        "Known frauds over payments.",
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    Column(
        "known_fraud_value_ratio",
        _T.DOUBLE,
        "Amount of known frauds over the amount of payments; null when the amount is 0.",
        nullable=True,
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    *_EXPECTED,
    Column(
        "label_maturity_share",
        _T.DOUBLE,
        "Share of the frauds of mature dates that were known at this age, as of the date.",
        unit="ratio",
        minimum=0,
        maximum=1,
    ),
    Column(
        "cohort_fraud_count",
        _T.LONG,
        "Frauds of the mature dates from which the share is estimated.",
        minimum=0,
    ),
    Column(
        "delay_days", _T.INTEGER, "Days from a payment until it was known to be fraud.", minimum=0
    ),
    Column("age_days", _T.INTEGER, "Days from a business date to the as-of date.", minimum=0),
    Column("final_fraud_count", _T.LONG, "Frauds known when the date was mature.", minimum=0),
    Column(
        "is_covered",
        _T.BOOLEAN,
        "Whether the interval contains the final count; null without an estimate.",
        nullable=True,
    ),
    Column("window_days", _T.INTEGER, "Days of the window, including its last one.", minimum=1),
    Column(
        "active_customer_count", _T.LONG, "Distinct customers who paid in the window.", minimum=0
    ),
    Column("period_type", _T.STRING, "Length of the period.", allowed=("day", "week", "month")),
    Column(
        "period_start", _T.DATE, "First UTC business date of the period; weeks begin on Monday."
    ),
    Column("event_hour", _T.INTEGER, "UTC hour of the payments.", minimum=0, maximum=23),
    Column("amount_band", _T.STRING, "Band of the amount, in units of `currency`."),
    Column("amount_band_rank", _T.INTEGER, "Rank of the band, lowest amounts first.", minimum=1),
    Column(
        "merchant_familiarity",
        _T.STRING,
        "Whether the customer had paid this counterparty in the 30 days before.",
        allowed=("new", "known", "unknown"),
    ),
    Column("customer_count", _T.LONG, "Distinct customers.", minimum=0),
)
