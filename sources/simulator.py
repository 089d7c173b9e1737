"""The simulated world of `python -m simulator`: payments and labels, a file a day each.

Names, e-mail addresses and streets of persons are not mapped, so that they stay in Raw.
"""

from decimal import Decimal
from typing import Final

from sources.declaration import WEEK_SECONDS, FileColumn, LabelFeed, Source, Version
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
    labels=LabelFeed(
        Version(
            1,
            "The labels of the simulated world.",
            tuple(map(FileColumn, ("transaction_id", "is_fraud", "known_at", "label_source"))),
            {
                "event_id": Take("transaction_id"),
                "is_fraud": Take("is_fraud"),
                "label_known_at": Instant(("known_at",), ISO_TIME),
                "label_source": Coded("label_source", {}),
            },
        ),
        # 0.88 of the frauds are known within a week, the features' label delay.
        genuine_after_seconds=WEEK_SECONDS,
        # A report comes within 90 days, and its correction within 20 more.
        longest_days=110,
    ),
    # A world has 200 customers or more, each with about two payments a day.
    rows_per_day=(200, 5_000_000),
    freshness_days=2,
    ranges=Ranges(
        # 0.32 to 0.39 of a day's payments of 1,500 customers come before noon UTC.
        morning_share=(0.15, 0.6),
        # Known frauds of a day of 1,500 customers are at most 0.0149 of its payments; any four
        # weeks have from 0.003 to 0.009.
        fraud_share=(0.0, 0.1),
        usual_fraud_share=0.03,
        long_fraud_share=(0.0005, 0.03),
        # The dirt has 0.0045 refused rows and 0.0015 late ones.
        quarantined_share=0.02,
        usual_quarantined_share=0.01,
        late_share=0.02,
        # Days after payday have a half more payments than a Sunday.
        is_steady=False,
        sometimes_null=frozenset(_SOMETIMES.values()),
    ),
)
