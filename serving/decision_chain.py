"""The chain of hashes over the decision log.

A row of serving.decisions has its position from 1 on, without a gap, the hash of the row before it,
and its own: SHA-256 over its canonical content, in which the hash before it is. So a row cannot be
changed, removed or moved without a change of all later hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from contracts.tables import TABLES

DECISIONS: Final = TABLES["serving.decisions"]
NO_HASH: Final = "0" * 64
"""In the first row, the hash before it."""
encode: Final = msgspec.json.Encoder(order="sorted").encode


class ChainError(ValueError):
    """Raised when the decision log is not as it was written; the message names the position."""


def canonical(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as values of JSON that are the same before it is stored and when it is read.

    Postgres returns an amount with all decimals of its column, and a time in the zone of the
    session.

    >>> row = dict.fromkeys(DECISIONS.column_names) | {"amount": Decimal("12.5000")}
    >>> canonical(row)["amount"]
    '12.5'
    """
    return {name: _plain(row[name]) for name in DECISIONS.column_names}


def hash_of(content: Mapping[str, Any]) -> str:
    """Return the hash of a row from its canonical content; `row_hash` is not part of it."""
    hashed = {name: value for name, value in content.items() if name != "row_hash"}
    return hashlib.sha256(encode(hashed)).hexdigest()


def verify(rows: Iterable[Mapping[str, Any]], heads: Mapping[int, str]) -> int:
    """Check each row of the log in the order of the positions, and return their number.

    `heads` are hashes by position that were published elsewhere, which the log must still have.

    Raises:
        ChainError: naming the first position at which a row is changed, missing or not chained.
    """
    position, previous = 0, NO_HASH
    for row in rows:
        position += 1
        if row["chain_position"] != position:
            raise ChainError(
                f"position {position}: the row is missing, the next one has position"
                f" {row['chain_position']}."
            )
        content = canonical(row)
        payment = f"position {position}, payment {row['event_id']} of {row['source_system']}"
        if row["row_hash"] != hash_of(content):
            raise ChainError(f"{payment}: the row was changed after it was written.")
        if row["previous_hash"] != previous:
            raise ChainError(f"{payment}: the row does not follow the row before it.")
        previous = row["row_hash"]
        if heads.get(position, previous) != previous:
            raise ChainError(f"{payment}: Raw has another row at this position.")
    if heads and max(heads) > position:
        raise ChainError(
            f"position {position + 1}: the row is missing, and all after it: Raw has rows up to"
            f" position {max(heads)}."
        )
    return position


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else value
