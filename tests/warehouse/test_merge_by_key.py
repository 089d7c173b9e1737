"""The merge of staged parties gives the same rows in any order of snapshots."""

from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any

import psycopg
import pytest

from contracts.settings import Settings
from contracts.tables import TABLES
from tests.warehouse.conftest import payment_row
from warehouse.merge_by_key import merge

pytestmark = pytest.mark.postgres
MERCHANTS = TABLES["staging.merchants"]
VERSIONS: list[tuple[int, int, str | None]] = [
    (2, 2, None),
    (2, 2, "Z"),  # the same instant with other attributes
    (2, 2, "a"),  # by bytes, after Z
    (1, 2, "a"),  # a late payment
    (1, 3, None),  # a later payment
]
"""First day, last day and category of a merchant in consecutive snapshots of the lake."""


def rows_of(version: tuple[int, int, str | None]) -> dict[str, Any]:
    """Return the merchant of a snapshot."""
    first, last, category = version
    return payment_row(
        MERCHANTS,
        date(2024, 5, 1),
        1,
        first_event_at=datetime(2024, 5, first, tzinfo=UTC),
        last_event_at=datetime(2024, 5, last, tzinfo=UTC),
        merchant_category=category,
    )


def test_the_last_version_wins_in_any_order(
    warehouse: Settings, loader: psycopg.Connection
) -> None:
    names = ", ".join(MERCHANTS.column_names)
    values = ", ".join(f"%({name})s" for name in MERCHANTS.column_names)
    loader.execute("create temporary table given (like staging.merchants)")
    for order in permutations(VERSIONS):
        loader.execute("truncate staging.merchants")
        for version in order:
            loader.execute("truncate given")
            loader.execute(f"insert into given ({names}) values ({values})", rows_of(version))  # type: ignore[arg-type]
            for statement in merge(MERCHANTS, "given", ' collate "C"'):
                loader.execute(statement.encode())
        found = loader.execute(f"select {names} from staging.merchants".encode()).fetchall()
        assert [dict(zip(MERCHANTS.column_names, row, strict=True)) for row in found] == [
            rows_of(VERSIONS[-1])
        ], order
