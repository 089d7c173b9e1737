"""Render lake tables as Iceberg DDL for Spark SQL."""

from collections.abc import Sequence
from typing import Final

from contracts.columns import COLUMNS
from contracts.render.to_spark import SPARK_TYPES
from contracts.tables import Table

CATALOG: Final = "lake"
_PROPERTIES: Final = {
    "format-version": "2",
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
    # For compaction: the writer would build and discard a larger dictionary of nearly unique
    # values.
    "write.parquet.dict-size-bytes": "8192",
    "write.metadata.metrics.default": "none",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}

_MERGED: Final = {
    # A merge writes the changed rows only, with a file of the positions of the old ones.
    "write.merge.mode": "merge-on-read",
    "write.delete.granularity": "partition",
}
_BOUNDS: Final = {
    "event_date": "full",
    "last_event_at": "full",
    "source_system": "full",
    # Names of deliveries differ in their last characters.
    "raw_object": "full",
}
"""Columns with bounds in the manifests. Bounds of other columns never select files."""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def qualified(table: str) -> str:
    """Return the name of a lake table in Spark SQL, for example `lake.processed.labels`."""
    return f"{CATALOG}.{table}"


def create_table(table: Table) -> str:
    """Return the statement that creates a lake table unless it exists."""
    columns = ",\n  ".join(_column(table, name) for name in table.column_names)
    partitioned = f"\nPARTITIONED BY ({table.partition_by})" if table.partition_by else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {qualified(table.name)} (\n  {columns}\n) USING iceberg"
        f"{partitioned}\nCOMMENT {_quoted(f'One row per {table.grain}.')}"
        f"\nTBLPROPERTIES ({_listed(properties(table))})"
    )


def add_columns(table: Table, names: Sequence[str]) -> str:
    """Return the statement that adds declared columns to a lake table, as its last."""
    columns = ", ".join(_column(table, name) for name in names)
    return f"ALTER TABLE {qualified(table.name)} ADD COLUMNS ({columns})"


def _column(table: Table, name: str) -> str:
    is_required = "" if table.is_nullable(name) else " NOT NULL"
    comment = _quoted(COLUMNS[name].description)
    return f"{name} {SPARK_TYPES[COLUMNS[name].type]}{is_required} COMMENT {comment}"


def set_properties(table: Table) -> str:
    """Return the statement that sets the declared properties of a lake table."""
    return f"ALTER TABLE {qualified(table.name)} SET TBLPROPERTIES ({_listed(properties(table))})"


def properties(table: Table) -> dict[str, str]:
    """Return the properties of a lake table: its format, write modes and column bounds."""
    bounds = {
        f"write.metadata.metrics.column.{name}": mode
        for name, mode in _BOUNDS.items()
        if name in table.column_names
    }
    return _PROPERTIES | (_MERGED if table.interval else {}) | bounds


def _listed(values: dict[str, str]) -> str:
    return ", ".join(f"'{name}'='{value}'" for name, value in values.items())
