"""The simulated world of `python -m simulator`: payments, a file a day.

Names, e-mail addresses and streets of persons are not mapped, so that they stay in Raw.
"""

from decimal import Decimal
from typing import Final

from sources.declaration import FileColumn, Source, Version
from sources.ranges import Ranges
from sources.rules import ISO_TIME, ByAffix, Coded, Instant, Precision, RowNumber, Rule, Take

_INSTANT: Final = Instant(("timestamp",), ISO_TIME)
_ALWAYS: Final = (
    *("transaction_id", "timestamp", "amount", "type", "customer_id", "merchant_id"),
    *("currency", "country", "home_lat", "home_lon", "channel", "payment_method"),
)
_SOMETIMES: Final = {
    "card_number": "instrument_id",
    "merchant_category_code": "merchant_category",
    "lat": "transaction_lat",
    "lon": "transaction_lon",
    "device_id": "device_id",
    "ip": "ip_hash",
}
"""Columns without a value in some rows, and what they fill."""
_MAPPING: Final[dict[str, Rule]] = {
    "event_id": Take("transaction_id"),
    "source_sequence": RowNumber(),
    "event_at": _INSTANT,
    "event_at_precision": Precision(_INSTANT),
    "customer_id": Take("customer_id"),
    "counterparty_id": Take("merchant_id"),
    "counterparty_type": ByAffix(
        "merchant_id", otherwise="unknown", prefixes={"M": "merchant", "C": "customer"}
    ),
    "transaction_type": Coded("type", {}),
    "channel": Coded("channel", {}),
    "payment_method": Coded("payment_method", {}),
    "amount": Take("amount"),
    "currency": Take("currency"),
    "country": Take("country"),
    "home_lat": Take("home_lat"),
    "home_lon": Take("home_lon"),
    **{filled: Take(column) for column, filled in _SOMETIMES.items()},
}

SIMULATOR: Final = Source(
    name="simulator",
    description="A simulated world of payments in many countries, a file a day.",
    formats=("jsonl", "parquet"),
    versions=(
        Version(
            1,
            "The payments of the simulated world.",
            (
                *(FileColumn(name) for name in _ALWAYS),
                *(FileColumn(name, required=False) for name in _SOMETIMES),
            ),
            _MAPPING,
        ),
    ),
    # 120 days of 1,500 customers have 996,373 JPY at most; absurd amounts of the dirt begin at
    # five billion.
    absurd_amount=Decimal("100000000.00"),
    labels=None,
    # A world has 200 customers or more, each with about two payments a day.
    rows_per_day=(200, 5_000_000),
    freshness_days=2,
    ranges=Ranges(
        # 0.32 to 0.39 of a day's payments of 1,500 customers come before noon UTC.
        morning_share=(0.15, 0.6),
        unlabelled_share=1.0,
        # The dirt has 0.0045 refused rows and 0.0015 late ones.
        quarantined_share=0.02,
        usual_quarantined_share=0.01,
        late_share=0.02,
        # Days after payday have a half more payments than a Sunday.
        is_steady=False,
        sometimes_null=frozenset(_SOMETIMES.values()),
    ),
)
