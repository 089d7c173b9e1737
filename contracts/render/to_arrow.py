"""Arrow schemas from the declarations, equal to the Postgres types a binary COPY expects."""

from typing import TYPE_CHECKING, Any

from contracts.columns import LogicalType
from contracts.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_type(logical: LogicalType) -> Any:
    """Return the Arrow type of a logical type."""
    import pyarrow as pa

    return {
        LogicalType.STRING: pa.string(),
        LogicalType.INTEGER: pa.int32(),
        LogicalType.LONG: pa.int64(),
        LogicalType.DOUBLE: pa.float64(),
        LogicalType.BOOLEAN: pa.bool_(),
        LogicalType.DATE: pa.date32(),
        LogicalType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
        LogicalType.MONEY: pa.decimal128(18, 2),
        LogicalType.STRINGS: pa.list_(pa.string()),
        LogicalType.DATES: pa.list_(pa.date32()),
        LogicalType.JSON: pa.string(),
    }[logical]


def schema(table: Table) -> "pa.Schema":
    """Return the Arrow schema of a table, in declared order, with nullability."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(column.name, arrow_type(column.type), table.is_nullable(column.name))
            for column in table.columns
        ]
    )
