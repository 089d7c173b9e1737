"""Types of Parquet columns: how a mapping names each, and how Spark reads it exactly.

The manifest records a column's type by its name here, or as Arrow writes a type that no mapping
reads. `sources check`, landing and the reader of Raw share this table.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

DeclaredType = Literal[
    "string", "long", "double", "float", "decimal", "boolean", "date", "timestamp", "instant"
]
"""A type as a mapping declares it. `long` is any whole number, `timestamp` has no zone and is of
the source's, `instant` has one. Text formats hold nothing but strings."""
NO_NUMBERS: Final = frozenset({"boolean", "date", "timestamp", "instant"})
"""Declared types that hold neither money nor a feature."""


@dataclass(frozen=True)
class ParquetType:
    """A type of a column: `declared` names it in mappings, `ddl` is the Spark type that reads it.

    `convert` is the SQL expression that makes the value of what was read, with `{}` in place of the
    column.
    """

    declared: DeclaredType
    ddl: str
    convert: str = "{}"


_OF_NANOS: Final = "timestamp_micros({0} div 1000 - if({0} % 1000 < 0, 1, 0))"
"""Nanoseconds, which Spark has no type for, cut to the microseconds of its timestamps."""
_MOST_MILLIS: Final = (2**63 - 1) // 1000
_OF_MILLIS: Final = (
    f"timestamp_millis(if({{0}} between -{_MOST_MILLIS} and {_MOST_MILLIS}, {{0}}, null))"
)
"""Milliseconds, read as numbers: read as timestamps, one that is out of range fails its task."""
ALWAYS_NULL: Final = "null"
"""The type of a column in which a writer without types had no value; it may stand for any type."""
_TYPES: Final[Mapping[str, ParquetType]] = {
    "string": ParquetType("string", "string"),
    "long": ParquetType("long", "bigint"),
    "unsigned_long": ParquetType("long", "decimal(20,0)"),
    "double": ParquetType("double", "double"),
    # The number that was written, 12.34, and not the nearest float to it, 12.34000015258789.
    "float": ParquetType("float", "float", "double(string({}))"),
    "boolean": ParquetType("boolean", "boolean"),
    "date": ParquetType("date", "date"),
    "timestamp": ParquetType("timestamp", "timestamp_ntz"),
    "timestamp_ms": ParquetType("timestamp", "bigint", _OF_MILLIS),
    "timestamp_ns": ParquetType("timestamp", "bigint", _OF_NANOS),
    "instant": ParquetType("instant", "timestamp"),
    "instant_ms": ParquetType("instant", "bigint", _OF_MILLIS),
    "instant_ns": ParquetType("instant", "bigint", _OF_NANOS),
    ALWAYS_NULL: ParquetType("string", "int", "string({})"),
}
_DECIMAL: Final = re.compile(r"decimal\([0-9]{1,2},[0-9]{1,2}\)")
_MOST_DIGITS: Final = 38


def parquet_type(name: str) -> ParquetType | None:
    """Return the type that a manifest records as `name`, or None when no mapping reads it.

    >>> parquet_type("decimal(12,2)").ddl
    'decimal(12,2)'
    """
    if _DECIMAL.fullmatch(name):
        return ParquetType("decimal", name)
    return _TYPES.get(name)


def is_accepted(name: str, declared: tuple[DeclaredType, ...]) -> bool:
    """Return whether a column of the type `name` may stand where a mapping declares these types."""
    known = parquet_type(name)
    return name == ALWAYS_NULL or (known is not None and known.declared in declared)


def name_of(arrow_type: Any, physical_type: str = "") -> str:
    """Return the name of an Arrow type; `physical_type` is that of the column in Parquet."""
    from pyarrow import types

    if types.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    if types.is_timestamp(arrow_type):
        kind = "timestamp" if arrow_type.tz is None else "instant"
        # Arrow shows the 96 bits of old writers in nanoseconds; Spark reads them as they are.
        unit = "us" if physical_type == "INT96" else arrow_type.unit
        return kind if unit == "us" else f"{kind}_{unit}"
    if types.is_decimal(arrow_type) and arrow_type.precision <= _MOST_DIGITS:
        return f"decimal({arrow_type.precision},{arrow_type.scale})"
    tests = (
        ("string", (types.is_string, types.is_large_string, types.is_string_view)),
        ("unsigned_long", (types.is_uint64,)),
        ("long", (types.is_integer,)),
        ("double", (types.is_float64,)),
        ("float", (types.is_float32,)),
        ("boolean", (types.is_boolean,)),
        ("date", (types.is_date,)),
        (ALWAYS_NULL, (types.is_null,)),
    )
    names = (name for name, kinds in tests if any(is_kind(arrow_type) for is_kind in kinds))
    return next(names, str(arrow_type))
