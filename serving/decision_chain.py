"""The canonical content of a row of serving.decisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from contracts.tables import TABLES

DECISIONS: Final = TABLES["serving.decisions"]
encode: Final = msgspec.json.Encoder(order="sorted").encode


def canonical(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as values of JSON that are the same before it is stored and when it is read.

    Postgres returns an amount with all decimals of its column, and a time in the zone of the
    session.

    >>> row = dict.fromkeys(DECISIONS.column_names) | {"amount": Decimal("12.5000")}
    >>> canonical(row)["amount"]
    '12.5'
    """
    return {name: _plain(row[name]) for name in DECISIONS.column_names}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else value
