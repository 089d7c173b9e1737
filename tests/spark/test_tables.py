"""Audit branches of the lake's tables."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.spark.conftest import Line

pytestmark = [pytest.mark.spark, pytest.mark.stack]


def test_a_branch_of_a_killed_run_is_replaced_in_tables_that_were_never_published(
    line: "Line",
) -> None:
    from spark.tables import ensure_tables, open_branch, read, write

    tables = ensure_tables(line.spark, "processed")
    open_branch(line.spark, tables, "audit_killed")
    row = line.spark.range(1).selectExpr(
        "'s' AS source_system",
        "'m' AS counterparty_id",
        "'merchant' AS counterparty_type",
        "'c' AS merchant_category",
        "timestamp'2024-05-01' AS first_event_at",
        "timestamp'2024-05-01' AS last_event_at",
    )
    write(row, "processed.merchants", "audit_killed")

    open_branch(line.spark, tables, "audit_killed")

    assert read(line.spark, "processed.merchants", "audit_killed").isEmpty()
