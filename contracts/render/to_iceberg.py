"""Render lake tables as Iceberg DDL for Spark SQL."""

from typing import Final

from contracts.columns import COLUMNS
from contracts.render.to_spark import SPARK_TYPES
from contracts.tables import Table

CATALOG: Final = "lake"
_PROPERTIES: Final = {
    "format-version": "2",
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
    # For compaction: a larger dictionary of nearly unique values is built and thrown away.
    "write.parquet.dict-size-bytes": "8192",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def qualified(table: str) -> str:
    """Return the name of a lake table in Spark SQL, for example `lake.processed.labels`."""
    return f"{CATALOG}.{table}"


def create_table(table: Table) -> str:
    """Return the statement that creates a lake table unless it exists."""
    columns = ",\n  ".join(
        f"{name} {SPARK_TYPES[COLUMNS[name].type]}"
        f"{'' if table.is_nullable(name) else ' NOT NULL'}"
        f" COMMENT {_quoted(COLUMNS[name].description)}"
        for name in table.column_names
    )
    partitioned = f"\nPARTITIONED BY ({table.partition_by})" if table.partition_by else ""
    wanted = dict(_PROPERTIES)
    if "raw_object" in table.column_names:
        # Names of deliveries differ at their end: cut after 16 characters, as bounds are by
        # default, they would not tell which files hold the rows of one.
        wanted["write.metadata.metrics.column.raw_object"] = "full"
    properties = ", ".join(f"'{name}'='{value}'" for name, value in wanted.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {qualified(table.name)} (\n  {columns}\n) USING iceberg"
        f"{partitioned}\nCOMMENT {_quoted(f'One row per {table.grain}.')}"
        f"\nTBLPROPERTIES ({properties})"
    )
