"""Spark schemas from the declarations."""

from typing import Final

from contracts.columns import COLUMNS, LogicalType
from contracts.tables import Table

SPARK_TYPES: Final[dict[LogicalType, str]] = {
    LogicalType.STRING: "string",
    LogicalType.INTEGER: "int",
    LogicalType.LONG: "bigint",
    LogicalType.DOUBLE: "double",
    LogicalType.BOOLEAN: "boolean",
    LogicalType.DATE: "date",
    LogicalType.TIMESTAMP: "timestamp",
    LogicalType.MONEY: str(LogicalType.MONEY),
    LogicalType.STRINGS: "array<string>",
    LogicalType.DATES: "array<date>",
    LogicalType.DOUBLES_BY_NAME: "map<string,double>",
    LogicalType.JSON: "string",
}
"""The Spark SQL name of each type, as `DataFrame.dtypes` writes it."""


def dtypes(table: Table) -> list[tuple[str, str]]:
    """Return the columns of a frame of `table`, as `DataFrame.dtypes` does.

    >>> from contracts.tables import TABLES
    >>> dtypes(TABLES["processed.labels"])[2:4]
    [('event_date', 'date'), ('is_fraud', 'boolean')]
    """
    return [(name, SPARK_TYPES[COLUMNS[name].type]) for name in table.column_names]
