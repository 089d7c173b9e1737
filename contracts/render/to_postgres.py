"""Postgres tables from the declarations: types, nullability, keys, partitions."""

from datetime import date, timedelta
from typing import Final

from contracts.columns import LogicalType
from contracts.tables import Table
from contracts.values import MONEY_DECIMALS, MONEY_DIGITS

TYPES: Final[dict[LogicalType, str]] = {
    LogicalType.STRING: "text",
    LogicalType.INTEGER: "integer",
    LogicalType.LONG: "bigint",
    LogicalType.DOUBLE: "double precision",
    LogicalType.BOOLEAN: "boolean",
    LogicalType.DATE: "date",
    LogicalType.TIMESTAMP: "timestamp with time zone",
    LogicalType.MONEY: f"numeric({MONEY_DIGITS},{MONEY_DECIMALS})",
    LogicalType.STRINGS: "text[]",
    LogicalType.DATES: "date[]",
    LogicalType.JSON: "jsonb",
}
"""Each type as Postgres' `format_type` returns it, to compare with stored columns."""


def columns(table: Table) -> str:
    """Return the column list of a `create table`, in declared order."""
    return ", ".join(
        f"{column.name} {TYPES[column.type]}"
        + ("" if table.is_nullable(column.name) else " not null")
        for column in table.columns
    )


def signature(table: Table) -> list[tuple[str, str, bool]]:
    """Return (name, type, nullable) of each column, to compare with a table of a database."""
    return [(c.name, TYPES[c.type], table.is_nullable(c.name)) for c in table.columns]


def create_parent(table: Table, name: str) -> str:
    """Return the DDL of a table with a partition for each day.

    Partitions are replaced by an atomic attach, which keeps the views on the table.
    """
    scheme = f"range ({table.partition_by})"
    return f"create table if not exists {name} ({columns(table)}) partition by {scheme}"


def create_table(table: Table, name: str, *extra: str) -> str:
    """Return the DDL of a plain table with its primary key and `extra` constraints."""
    parts = ", ".join([columns(table), f"primary key ({', '.join(table.key)})", *extra])
    return f"create table if not exists {name} ({parts})"


def partition_name(table: Table, day: date) -> str:
    """Return the name, without schema, of the partition of a day."""
    return f"{table.short_name}_p{day:%Y%m%d}"


def partition_bound(day: date) -> str:
    """Return the `for values` clause of a day."""
    return f"for values from ('{day.isoformat()}') to ('{(day + timedelta(days=1)).isoformat()}')"


def partition_check(table: Table, day: date) -> str:
    """Return the condition with which Postgres attaches the day without scanning it."""
    column = table.partition_by
    return f"{column} >= date '{day}' and {column} < date '{day + timedelta(days=1)}'"
