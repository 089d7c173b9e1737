"""Columns of PRODUCTION: the dimensions and the facts of payments."""

from typing import Final

from contracts.column import Column, LogicalType

_T = LogicalType

COLUMNS: Final[tuple[Column, ...]] = (
    Column("valid_from", _T.TIMESTAMP, "Instant from which the version is valid, inclusive."),
    Column("valid_to", _T.TIMESTAMP, "Instant until which the version is valid, exclusive."),
    Column("is_current", _T.BOOLEAN, "Whether the version is the latest one."),
    Column("changed_at", _T.TIMESTAMP, "Time of the first payment of the version."),
    Column(
        "customer_valid_from",
        _T.TIMESTAMP,
        "Version of the customer that was valid when the payment happened.",
        nullable=True,
    ),
    Column(
        "merchant_valid_from",
        _T.TIMESTAMP,
        "Version of the counterparty that was valid when the payment happened.",
        nullable=True,
    ),
    Column(
        "delivered_date",
        _T.DATE,
        "Business date on which the row became known: the last date in the name of its"
        " delivery, or else the UTC date on which the delivery landed in Raw.",
    ),
    Column("currency_name", _T.STRING, "English name of the currency."),
    Column(
        "minor_unit_digits",
        _T.INTEGER,
        "Decimals of an amount in the currency; null for a code that is not money.",
        nullable=True,
        minimum=0,
        maximum=4,
    ),
    Column("numeric_code", _T.STRING, "ISO 4217 number, three digits.", nullable=True),
    Column("is_listed", _T.BOOLEAN, "Whether ISO 4217 has the code, now or since 2000."),
    Column("calendar_date", _T.DATE, "Calendar date."),
    Column("calendar_year", _T.INTEGER, "Calendar year."),
    Column("calendar_month", _T.INTEGER, "Month of the year.", minimum=1, maximum=12),
    Column("calendar_quarter", _T.INTEGER, "Quarter of the year.", minimum=1, maximum=4),
    Column("month_name", _T.STRING, "English name of the month."),
    Column("month_start", _T.DATE, "First day of the month."),
    Column("week_start", _T.DATE, "Monday of the ISO week."),
    Column("day_name", _T.STRING, "English name of the day of the week."),
    Column("iso_week", _T.INTEGER, "ISO week of the year.", minimum=1, maximum=53),
    Column("day_of_week", _T.INTEGER, "ISO day of the week, 1 is Monday.", minimum=1, maximum=7),
)
