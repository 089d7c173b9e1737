"""What numpy writes as binary COPY is read by Postgres as the same values."""

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from contracts.columns import LogicalType
from contracts.render.to_arrow import arrow_type
from contracts.render.to_postgres import TYPES
from warehouse import binary_copy

_VALUES: dict[LogicalType, list[Any]] = {
    LogicalType.STRING: ["", "a", "nine", "Łódź \N{MONEY BAG}", 'tab\t and "quote"', "a", "0"],
    LogicalType.INTEGER: [0, 1, -1, 2**31 - 1, -(2**31), 7, 7],
    LogicalType.LONG: [0, 1, -1, 2**63 - 1, -(2**63), 7, 7],
    LogicalType.DOUBLE: [0.0, -0.5, 1e308, 5e-324, float("inf"), 0.1, 0.1],
    LogicalType.BOOLEAN: [True, False, True, True, False, False, True],
    LogicalType.DATE: [date(2024, 2, 29), date(1999, 12, 31), date(2000, 1, 1), date.max] * 2,
    LogicalType.TIMESTAMP: [
        *(datetime(2024, 5, 1, 23, 59, 59, 999_999, UTC), datetime(1969, 12, 31, tzinfo=UTC)),
        *(datetime(2000, 1, 1, tzinfo=UTC), datetime(2018, 4, 1, 12, tzinfo=UTC)) * 2,
    ],
    LogicalType.MONEY: [
        *(Decimal("0.00"), Decimal("0.01"), Decimal("-0.99"), Decimal("10000.00")),
        *(Decimal("9999.9999"), Decimal("9" * 16 + ".9999"), Decimal("-" + "9" * 16 + ".9999")),
    ],
    LogicalType.STRINGS: [[], ["one"], ["one", "two"], ["", None, "Łódź"], ["x"] * 9, [], ["y"]],
}
_TYPES = tuple(_VALUES)


def _sent_and_stored(
    connection: psycopg.Connection, columns: dict[str, tuple[LogicalType, list[Any]]]
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Copy columns of values into a table; return the rows that were sent and those stored."""
    batch = pa.record_batch(
        {name: pa.array(values, arrow_type(kind)) for name, (kind, values) in columns.items()}
    )
    batch = pa.concat_batches([batch, batch]).slice(1)  # what begins inside its buffers
    names = ", ".join(f"{name} {TYPES[kind]}" for name, (kind, _) in columns.items())
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        cursor.execute(f"create temporary table copied ({names})".encode())
        with cursor.copy("copy copied from stdin (format binary)") as copy:
            copy.write(binary_copy.HEADER)
            for written in binary_copy.encoded(batch):
                copy.write(written)
            copy.write(binary_copy.TRAILER)
        stored = cursor.execute("select * from copied").fetchall()
    return [tuple(row.values()) for row in batch.to_pylist()], stored


@pytest.mark.postgres
@pytest.mark.parametrize("kind", _TYPES)
@pytest.mark.parametrize("nulls", ["none", "some", "all"])
def test_every_type_is_copied_unchanged(loader: psycopg.Connection, kind: Any, nulls: str) -> None:
    given = _VALUES[kind][:7]
    if nulls != "none":
        given = [None if nulls == "all" or at % 3 == 0 else v for at, v in enumerate(given)]
    sent, stored = _sent_and_stored(loader, {"value": (kind, given)})
    assert stored == sent


@pytest.mark.postgres
@pytest.mark.parametrize("seed", range(8))
def test_columns_in_any_order_are_copied_unchanged(loader: psycopg.Connection, seed: int) -> None:
    draw = random.Random(seed)
    kinds = [draw.choice(_TYPES) for _ in range(12)]
    columns = {}
    for at, kind in enumerate(kinds):
        share = draw.choice([0, 0, 0.3, 1])
        values = draw.choices(_VALUES[kind], k=40)
        columns[f"c{at}"] = kind, [None if draw.random() < share else v for v in values]
    sent, stored = _sent_and_stored(loader, columns)
    assert stored == sent


@pytest.mark.postgres
def test_many_rows_are_written_in_pieces(
    loader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary_copy, "_ROWS", 3)
    columns = {f"c{at}": (kind, _VALUES[kind][:6]) for at, kind in enumerate(_TYPES)}
    sent, stored = _sent_and_stored(loader, columns)
    assert stored == sent


def test_a_type_that_no_column_has_is_refused() -> None:
    batch = pa.record_batch({"value": pa.array([1.5], pa.float32())})
    with pytest.raises(TypeError, match="float"):
        list(binary_copy.encoded(batch))
