"""Audit branches of the lake's tables."""

from datetime import date
from decimal import Decimal
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

    table_properties = line.spark.sql(f"SHOW TBLPROPERTIES {name}").collect()
    assert {row["key"]: row["value"] for row in table_properties}[mode] == "merge-on-read"


def test_tables_of_an_earlier_version_get_amounts_of_every_minor_unit(line: "Line") -> None:
    from contracts.render.to_iceberg import create_table
    from contracts.render.to_spark import dtypes
    from contracts.tables import TABLES
    from lake.branches import open_branch
    from lake.frames import read, write
    from lake.tables import ensure_tables

    table = TABLES["processed.transactions"]
    name = f"lake.{table.name}"
    ensure_tables(line.spark, "processed")
    narrow = create_table(table).replace("decimal(20,4)", "decimal(18,2)")
    line.spark.sql(f"DROP TABLE {name} PURGE")
    line.spark.sql(narrow)
    given = {
        "event_id": "id",
        "event_date": "date_add(date'2024-05-01', cast(id % 3 as int))",
        "amount": "cast(1234567890123456.78 as decimal(18,2))",
    }
    types = dict(line.spark.table(name).dtypes)
    needed = {column for column in table.column_names if not table.is_nullable(column)}
    blank = {"array<string>": "array()", "timestamp": "now()"}
    columns = [
        f"cast({given.get(n, blank.get(t, '0') if n in needed else 'null')} as {t}) as {n}"
        for n, t in types.items()
    ]
    for _ in range(2):
        line.spark.range(9).selectExpr(*columns).writeTo(name).append()
    line.spark.sql(f"ALTER TABLE {name} CREATE TAG trained")

    ensure_tables(line.spark, "processed")
    ensure_tables(line.spark, "processed")

    stored = line.spark.table(name)
    assert stored.dtypes == dtypes(table)
    assert {one.name for one in stored.schema if not one.nullable} == needed
    assert stored.groupBy("event_date", "amount").count().orderBy("event_date").collect() == [
        (date(2024, 5, day), Decimal("1234567890123456.7800"), 6) for day in (1, 2, 3)
    ]
    assert dict(read(line.spark, table.name, "trained").dtypes)["amount"] == "decimal(18,2)"
    assert line.spark.table(f"{name}.snapshots").count() == 3
    open_branch(line.spark, [table], "audit_next")
    day = stored.filter("event_date = date'2024-05-01'").withColumn("amount", stored.amount / 3)
    write(day, table.name, "audit_next", [date(2024, 5, 1)])
    assert read(line.spark, table.name, "audit_next").count() == 18
    line.empty()
