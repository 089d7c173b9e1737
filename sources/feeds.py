"""JSON lines of card processors and banks: one payment on each line, no labels.

Keys without a value may be absent. Codes are read case-insensitively.
"""

from decimal import Decimal
from typing import Final

from sources.declaration import FileColumn, Source, Version
from sources.ranges import Ranges
from sources.rules import (
    ISO_TIME,
    ByAffix,
    Coded,
    Flags,
    Instant,
    Precision,
    RowNumber,
    Rule,
    Take,
)

_TYPES: Final = {"withdrawal": "cash_out", "deposit": "cash_in"}
_CHANNELS: Final = {
    "online": "web",
    "ecommerce": "web",
    "mobile": "app",
    "in_store": "pos",
}
_METHODS: Final = {"credit_card": "card", "debit_card": "card"}
_INSTANT: Final = Instant(("timestamp",), ISO_TIME)
_OPTIONAL: Final = (
    "merchant_id",
    "type",
    "channel",
    "payment_method",
    "country",
    "location",
    "ip_hash",
    "risk_flags",
)


def _version(customer: str, category: str, device: str, *others: str) -> Version:
    """Return the layout of a feed; `others` are its other columns."""
    needed = ("transaction_id", "timestamp", "amount", "currency", customer)
    optional = (*_OPTIONAL, category, device, *others)
    mapping: dict[str, Rule] = {
        "event_id": Take("transaction_id"),
        "source_sequence": RowNumber(),
        "event_at": _INSTANT,
        "event_at_precision": Precision(_INSTANT),
        "customer_id": Take(customer),
        "counterparty_id": Take("merchant_id"),
        "counterparty_type": ByAffix("merchant_id", otherwise="merchant"),
        "merchant_category": Take(category),
        "transaction_type": Coded("type", _TYPES, missing="purchase"),
        "channel": Coded("channel", _CHANNELS, missing="unknown"),
        "payment_method": Coded("payment_method", _METHODS, missing="unknown"),
        "amount": Take("amount"),
        "currency": Take("currency"),
        "country": Take("country"),
        "location_text": Take("location"),
        "device_id": Take(device),
        "ip_hash": Take("ip_hash"),
        "source_flags": Flags(lists=("risk_flags",)),
    }
    if "card_number" in others:
        mapping["instrument_id"] = Take("card_number")
    return Version(
        1,
        "The feed's first layout.",
        (
            *(FileColumn(name) for name in needed),
            *(FileColumn(name, required=False) for name in optional),
        ),
        mapping,
    )


def _feed(name: str, description: str, version: Version) -> Source:
    return Source(
        name=name,
        description=description,
        formats=("jsonl",),
        versions=(version,),
        absurd_amount=Decimal("1000000.00"),
        labels=None,
        rows_per_day=(1, 5_000_000),
        freshness_days=2,
        ranges=Ranges(
            unlabelled_share=1.0,
            is_steady=False,
            sometimes_null=frozenset(
                (
                    "counterparty_id",
                    "merchant_category",
                    "country",
                    "region",
                    "device_id",
                    "ip_hash",
                    "instrument_id",
                    "source_flags",
                )
            ),
        ),
    )


CARD_FEED: Final = _feed(
    "card_feed",
    "Card payments as JSON lines, a file a day.",
    _version("customer_id", "merchant_category_code", "device_id", "card_number"),
)
BANKING_FEED: Final = _feed(
    "banking_feed",
    "Payments from bank accounts as JSON lines, a file a day.",
    _version("user_id", "merchant_type", "device"),
)
