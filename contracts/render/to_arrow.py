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


def hundredths(amounts: "pa.Array") -> Any:
    """Return amounts with two decimals as integers; the values of nulls are arbitrary."""
    import numpy as np

    # A decimal is a little-endian integer of 128 bits; eighteen digits and the sign fit into the
    # lower half.
    halves = np.frombuffer(amounts.buffers()[1], "<i8").reshape(-1, 2)
    return halves[amounts.offset : amounts.offset + len(amounts), 0]


def schema(table: Table) -> "pa.Schema":
    """Return the Arrow schema of a table, in declared order, with nullability."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(column.name, arrow_type(column.type), table.is_nullable(column.name))
            for column in table.columns
        ]
    )
