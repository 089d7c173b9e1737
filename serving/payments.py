"""The payment of a request or a message, as the lake has it."""

from __future__ import annotations

from datetime import UTC
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from contracts.values import MONEY_DECIMALS, VALUES, ValueClass
from serving.tokens import Tokens
from sources.declaration import Source
from streaming.mapped import Mapped

_TENTH: Final = Decimal("0.1")
_MONEY: Final = Decimal(1).scaleb(-MONEY_DECIMALS)
_PLACES: Final = tuple(name for name, kind in VALUES.items() if kind is ValueClass.PLACE)


def pseudonymised(row: Mapped, source: Source, tokens: Tokens, sequence: int) -> dict[str, Any]:
    """Return a checked payment by the names of processed.transactions.

    Identifiers of persons are tokens, and places are rounded to 0.1 degree. `sequence` orders the
    payments of one instant.

    Raises:
        ValueError: when the payment has no identifier, customer, time or amount.
    """
    event_at, amount, texts = row.event_at, row.amount, row.texts
    if event_at is None or amount is None or not (texts["event_id"] and texts["customer_id"]):
        raise ValueError("it has no identifier, customer, time or amount")
    return {
        **texts,
        **tokens.of(texts, source.name),
        **{name: rounded(row.places.get(name)) for name in _PLACES},
        "source_system": source.name,
        "source_sequence": sequence,
        "event_at": event_at.astimezone(UTC),
        "event_date": event_at.astimezone(ZoneInfo(source.zone)).date(),
        "amount": amount.quantize(_MONEY),
    }


def rounded(place: float | None) -> float | None:
    """Round a coordinate half up, as `spark.transforms.coarsen` does.

    >>> rounded(25.75), rounded(-80.25)
    (25.8, -80.3)
    """
    if place is None:
        return None
    return float(Decimal(repr(place)).quantize(_TENTH, ROUND_HALF_UP))
