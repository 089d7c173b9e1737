"""Audit branches of the lake's tables."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.spark.conftest import Line

pytestmark = [pytest.mark.spark, pytest.mark.stack]


def test_a_branch_of_a_killed_run_is_replaced_in_tables_that_were_never_published(
    line: "Line",
) -> None:
    from lake.branches import open_branch
    from lake.frames import merge, read
    from lake.tables import ensure_tables

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
    merge(row, "processed.merchants", "audit_killed")

    open_branch(line.spark, tables, "audit_killed")

    assert read(line.spark, "processed.merchants", "audit_killed").isEmpty()


def test_parties_of_an_earlier_version_are_merged_as_new_ones_are(line: "Line") -> None:
    from lake.tables import ensure_tables

    name, mode = "lake.processed.customers", "write.merge.mode"
    ensure_tables(line.spark, "processed")
    line.spark.sql(f"ALTER TABLE {name} UNSET TBLPROPERTIES ('{mode}')")

    ensure_tables(line.spark, "processed")

    held = line.spark.sql(f"SHOW TBLPROPERTIES {name}").collect()
    assert {row["key"]: row["value"] for row in held}[mode] == "merge-on-read"
