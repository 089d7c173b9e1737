"""Arrow schemas from the declarations, equal to the Postgres types a binary COPY expects."""

from functools import cache
from typing import TYPE_CHECKING, Any

from contracts.columns import LogicalType
from contracts.tables import Table
from contracts.values import MONEY_DECIMALS, MONEY_DIGITS, MONEY_UNITS

if TYPE_CHECKING:
    import pyarrow as pa


@cache
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
        LogicalType.MONEY: pa.decimal128(MONEY_DIGITS, MONEY_DECIMALS),
        LogicalType.STRINGS: pa.list_(pa.string()),
        LogicalType.DATES: pa.list_(pa.date32()),
        LogicalType.DOUBLES_BY_NAME: pa.map_(pa.string(), pa.float64()),
        LogicalType.JSON: pa.string(),
    }[logical]


def whole_and_fraction(amounts: "pa.Array") -> tuple[Any, Any]:
    """Return amounts without nulls as integers: whole units, and ten-thousandths beyond them.

    Both have the sign of the amount. Neither overflows 64 bits, in which the ten-thousandths of an
    amount have no room.

    >>> from decimal import Decimal
    >>> import pyarrow as pa
    >>> amounts = pa.array([Decimal("-12.5")], arrow_type(LogicalType.MONEY))
    >>> [part.tolist() for part in whole_and_fraction(amounts)]
    [[-12], [-5000]]
    """
    import numpy as np
    import pyarrow as pa

    whole = amounts.cast(pa.int64(), safe=False).to_numpy()
    # A decimal is a little-endian integer of 128 bits. Its lower half and the product have the same
    # overflow, which the difference does not have.
    low = np.frombuffer(amounts.buffers()[1], "<i8")[::2]
    return whole, low[amounts.offset : amounts.offset + len(amounts)] - whole * MONEY_UNITS


def from_units(units: "pa.Array") -> "pa.Array":
    """Return integers of ten-thousandths as amounts.

    >>> import pyarrow as pa
    >>> from_units(pa.array([125000, None])).to_pylist()
    [Decimal('12.5000'), None]
    """
    import pyarrow as pa

    return units.cast(pa.decimal128(MONEY_DIGITS, 0)).view(arrow_type(LogicalType.MONEY))


def schema(table: Table) -> "pa.Schema":
    """Return the Arrow schema of a table, in declared order, with nullability."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(column.name, arrow_type(column.type), table.is_nullable(column.name))
            for column in table.columns
        ]
    )
