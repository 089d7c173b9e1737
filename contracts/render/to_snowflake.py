"""Snowflake tables from the declarations: types, nullability, keys."""

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
    LogicalType.STRINGS: "array",
    LogicalType.DATES: "array",
    LogicalType.JSON: "variant",
}

STORED: Final[dict[LogicalType, tuple[str, ...]]] = {
    LogicalType.STRING: ("text",),
    LogicalType.INTEGER: ("number(38,0)",),
    LogicalType.LONG: ("number(38,0)",),
    LogicalType.DOUBLE: ("float",),
    LogicalType.BOOLEAN: ("boolean",),
    LogicalType.DATE: ("date",),
    LogicalType.TIMESTAMP: ("timestamp_tz",),
    LogicalType.MONEY: (f"number({MONEY_DIGITS},{MONEY_DECIMALS})",),
    LogicalType.STRINGS: ("array", "variant"),
    LogicalType.DATES: ("array", "variant"),
    LogicalType.JSON: ("variant",),
}
"""Each type as an information schema returns it, to compare with stored columns.

A server that emulates Snowflake stores arrays as variants.
"""


def columns(table: Table) -> str:
    """Return the column list of a `create table`, in declared order."""
    return ", ".join(
        f"{column.name} {TYPES[column.type]}"
        + ("" if table.is_nullable(column.name) else " not null")
        for column in table.columns
    )
