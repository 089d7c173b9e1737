"""Columns of the decision API (`serving/`)."""

from typing import Final

from contracts.column import Column, LogicalType

_T = LogicalType

SERVING_COLUMNS: Final = (
    Column(
        "fraud_known_at",
        _T.TIMESTAMP,
        "When the payment first became known as fraud, null if it is not known.",
        nullable=True,
    ),
    Column("payment_day", _T.LONG, "UTC day of the payments, in days since 1970-01-01."),
    Column(
        "known_day",
        _T.LONG,
        "First UTC day at whose start the payments are known as fraud, in days since 1970-01-01; -1"
        " if they are not.",
        minimum=-1,
    ),
    Column("payment_count", _T.LONG, "Number of payments.", minimum=0),
)
