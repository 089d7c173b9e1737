"""Comparison of two warehouses by row, with a report of the differences."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from contracts.tables import TABLES
from warehouse.parity import Compared, Side, compare, report

_COMPARED = (
    *("event_date", "source_system", "currency", "transaction_count", "amount"),
    *("known_fraud_ratio", "as_of_date"),
)
_TABLE = replace(TABLES["production.rpt_fraud_daily"], column_names=_COMPARED)
_TYPES = {column.name: column.type.value for column in _TABLE.columns}


def _row(day: int, **given: Any) -> tuple[Any, ...]:
    row = {
        "event_date": date(2024, 5, day),
        "source_system": "sparkov",
        "currency": "USD",
        "transaction_count": 3,
        "amount": Decimal("12.10"),
        "known_fraud_ratio": 1 / 3,
        "as_of_date": date(2024, 5, day),
        **given,
    }
    return tuple(row[name] for name in _TABLE.column_names)


def _side(name: str, *rows: tuple[Any, ...], **types: str) -> Side:
    def stream(_: object) -> Iterator[tuple[Any, ...]]:
        return iter(rows)

    return Side(name, lambda _: {**_TYPES, **types}, stream)


_HERE = _side("Postgres", _row(1), _row(2), _row(3))


def _compared(there: Side) -> Compared:
    (compared,) = compare(_HERE, there, (_TABLE,))
    return compared


def test_the_same_rows_agree() -> None:
    compared = _compared(_side("Snowflake", _row(1), _row(2), _row(3)))
    assert compared == Compared("rpt_fraud_daily", 3, 3, 0, None)
    assert compared.agrees


def test_a_rounded_last_digit_is_not_a_difference() -> None:
    close = _row(2, known_fraud_ratio=0.33333333333333337)
    assert _compared(_side("Snowflake", _row(1), close, _row(3))).agrees
    off = _row(2, known_fraud_ratio=0.3333333333)
    assert not _compared(_side("Snowflake", _row(1), off, _row(3))).agrees


@pytest.mark.parametrize(
    ("rows", "counted", "first"),
    [
        (
            [_row(1), _row(2, amount=Decimal("12.11")), _row(3, amount=Decimal("0.10"))],
            (3, 3, 2),
            "amount of event_date 2024-05-02, source_system sparkov, currency USD is 12.10 in"
            " Postgres and 12.11 in Snowflake",
        ),
        (
            [_row(1), _row(3)],
            (3, 2, 1),
            "the row of event_date 2024-05-02, source_system sparkov, currency USD is only in"
            " Postgres",
        ),
        (
            [_row(1), _row(2), _row(3), _row(4)],
            (3, 4, 1),
            "the row of event_date 2024-05-04, source_system sparkov, currency USD is only in"
            " Snowflake",
        ),
        ([_row(1), _row(1), _row(2), _row(3)], (3, 4, 1), None),
    ],
    ids=["a cent", "a missing row", "a row too many", "a row twice"],
)
def test_differences_are_counted_and_the_first_is_reported(
    rows: list[tuple[Any, ...]], counted: tuple[int, ...], first: str | None
) -> None:
    compared = _compared(_side("Snowflake", *rows))
    assert (compared.rows_here, compared.rows_there, compared.differing) == counted
    assert not compared.agrees
    if first:
        assert compared.first == first
        assert first in report([compared])


def test_another_type_is_a_difference_whatever_the_values() -> None:
    compared = _compared(_side("Snowflake", _row(1), _row(2), _row(3), amount="number(38,2)"))
    assert compared.first == (
        "column amount in Snowflake is number(38,2) and declared as decimal(20,4)"
    )


def test_a_column_too_many_and_a_missing_table_are_differences() -> None:
    extra = _compared(_side("Snowflake", _row(1), _row(2), _row(3), note="text"))
    assert extra.first == "column note in Snowflake is not declared"
    missing = replace(_HERE, name="Snowflake", types=lambda _: {})
    assert _compared(missing).first == "the table is not in Snowflake"
