"""A row of the decision log that was changed, removed, moved or added is found by its position."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from serving.decision_chain import DECISIONS, NO_HASH, ChainError, canonical, hash_of, verify

Row = dict[str, Any]
_AT = datetime(2026, 5, 1, 12, 0, 0, 250, UTC)


def chain(count: int, after: Row | None = None) -> list[Row]:
    """Return rows that follow each other."""
    rows, previous = list[Row](), after or {"chain_position": 0, "row_hash": NO_HASH}
    for _ in range(count):
        position = previous["chain_position"] + 1
        row = dict.fromkeys(DECISIONS.column_names, "text") | {
            **{"event_at": _AT, "event_date": date(2026, 5, 1), "amount": Decimal("12.5")},
            **{"score": 0.25, "request": {"b": 1, "a": 2.5}, "chain_position": position},
            **{"previous_hash": previous["row_hash"], "event_id": f"p{position}"},
        }
        previous = row | {"row_hash": hash_of(canonical(row))}
        rows.append(previous)
    return rows


def rehashed(rows: list[Row]) -> list[Row]:
    """Return rows with new hashes, as somebody who knows the code writes them."""
    previous, made = NO_HASH, list[Row]()
    for row in rows:
        row = row | {"previous_hash": previous, "chain_position": len(made) + 1}
        made.append(row | {"row_hash": hash_of(canonical(row))})
        previous = made[-1]["row_hash"]
    return made


def test_a_log_as_it_was_written_is_verified() -> None:
    rows = chain(5)
    assert verify(rows, {2: rows[1]["row_hash"], 5: rows[4]["row_hash"]}) == 5
    assert verify([], {}) == 0


def test_what_postgres_returns_has_the_hash_of_what_was_written() -> None:
    (row,) = chain(1)
    stored = row | {
        "event_at": _AT.astimezone(timezone(timedelta(hours=2))),
        "amount": Decimal("12.5000"),
        "request": {"a": 2.5, "b": 1},
    }
    assert verify([stored], {}) == 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda rows: rows[1].update(score=0.5), "position 2, payment p2.*was changed"),
        (lambda rows: rows[1].update(row_hash="0"), "position 2, payment p2.*was changed"),
        (lambda rows: rows[1]["request"].update(a=3), "position 2, payment p2.*was changed"),
        (lambda rows: rows.pop(1), "position 2: the row is missing, the next one has position 3"),
        (lambda rows: rows.pop(0), "position 1: the row is missing, the next one has position 2"),
        (
            lambda rows: rows.insert(1, rows.pop(2)),
            "position 2: the row is missing, the next one has position 3",
        ),
        (
            lambda rows: rows.append(rows[3] | {"event_id": "x", "chain_position": 5}),
            "position 5, payment x.*was changed",
        ),
        (
            lambda rows: rows.append(chain(1)[0] | {"event_id": "x"}),
            "position 5: the row is missing, the next one has position 1",
        ),
        (
            lambda rows: rows.extend(chain(1, rows[3] | {"row_hash": "0"})),
            "position 5, payment p5.*does not follow",
        ),
    ],
    ids=[
        *("value changed", "hash changed", "request changed", "removed", "first removed"),
        *("moved", "added", "added without a position", "added without the chain"),
    ],
)
def test_damage_is_found_by_the_chain(damage: Callable[[list[Row]], Any], message: str) -> None:
    rows = chain(4)
    damage(rows)
    with pytest.raises(ChainError, match=message):
        verify(rows, {})


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (lambda rows: rows[:2], "position 3: the row is missing, and all after it.*position 4"),
        (lambda rows: rehashed([*rows[:2], rows[3]]), "position 4: the row is missing"),
        (lambda rows: rehashed([*rows[:2], rows[2] | {"score": 0}, rows[3]]), "position 4.*anot"),
        (lambda rows: [], "position 1: the row is missing, and all after it"),
    ],
    ids=["tail removed", "removed and chained again", "changed and chained again", "emptied"],
)
def test_what_the_chain_cannot_show_is_found_by_the_rows_in_raw(
    damaged: Callable[[list[Row]], list[Row]], message: str
) -> None:
    rows = chain(4)
    heads = {row["chain_position"]: row["row_hash"] for row in (rows[0], rows[3])}
    assert verify(damaged(rows), {}) == len(damaged(rows))
    with pytest.raises(ChainError, match=message):
        verify(damaged(rows), heads)
