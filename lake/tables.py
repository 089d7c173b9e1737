"""Lake tables: created from the contracts, and upgraded from those of an earlier version."""

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from contracts.columns import LogicalType
from contracts.render.to_iceberg import (
    add_columns,
    create_table,
    properties,
    qualified,
    set_properties,
)
from contracts.tables import TABLES, Table, zone
from lake.branches import alter, in_parallel
from lake.frames import ONE_FILE_AT_A_TIME, conform

_NARROW_MONEY = "decimal(18,2)"
"""Type of the amounts of earlier versions."""
_QUARANTINE = TABLES["processed.quarantine"]


def ensure_tables(spark: SparkSession, of_zone: str) -> tuple[Table, ...]:
    """Create the tables of a zone that do not exist, upgrade those that do, and return them all."""
    tables = zone(of_zone)
    existing = {row["tableName"] for row in spark.sql(f"SHOW TABLES IN lake.{of_zone}").collect()}
    in_parallel(spark, [create_table(t) for t in tables if t.short_name not in existing])
    for table in tables:
        if table.short_name in existing:
            _upgrade(spark, table)
    return tables


def _upgrade(spark: SparkSession, table: Table) -> None:
    """Give a table of an earlier version its later columns, wide amounts, merge properties."""
    if any(column.type is LogicalType.MONEY for column in table.columns):
        _upgrade_columns(spark, table)
    elif table.interval:
        rows = spark.sql(f"SHOW TBLPROPERTIES {qualified(table.name)}").collect()
        if not properties(table).items() <= {tuple(row) for row in rows}:
            alter(spark, set_properties(table))


def _upgrade_columns(spark: SparkSession, table: Table) -> None:
    """Add columns that may be null, and write a table again for other changes.

    These are the dates of delivery, and amounts with more decimals, which Iceberg cannot change.
    It replaces the table in one commit. Earlier snapshots stay readable.
    """
    name, partition = qualified(table.name), str(table.partition_by)
    stored = spark.table(name)
    if missing := _missing(table, stored):
        try:
            alter(spark, add_columns(table, missing))
        except Exception:
            # Another run may have added them.
            if _missing(table, spark.table(name)):
                raise
        stored = spark.table(name)
    is_narrow = _NARROW_MONEY in dict(stored.dtypes).values()
    if table == _QUARANTINE and partition not in stored.columns:
        date = delivered_date(F.col("raw_object"), F.col("first_seen_at"))
        stored = stored.withColumn(partition, date)
    elif not is_narrow:
        return
    rows = conform(stored, table).writeTo(name).using("iceberg").options(**ONE_FILE_AT_A_TIME)
    rows.partitionedBy(F.col(partition)).createOrReplace()


def _missing(table: Table, stored: DataFrame) -> list[str]:
    """Return the columns that a stored table lacks and that may be null."""
    return [n for n in table.column_names if table.is_nullable(n) and n not in stored.columns]


def delivered_date(raw_object: Column, landed_at: Column) -> Column:
    """Return the last date in the name of a delivery, else the UTC date of its landing.

    It equals `RawObject.delivered_date`. The key of a Raw object has the name as its third part.

    >>> row = spark.sql("SELECT 's/transactions/2024-05-01/0a.csv' raw_object, now() landed_at")
    >>> row.select(delivered_date(F.col("raw_object"), F.col("landed_at"))).first()[0]
    datetime.date(2024, 5, 1)
    """
    dated = F.right(F.split_part(raw_object, F.lit("/"), F.lit(3)), F.lit(10))
    is_dated = dated.rlike(r"^\d{4}-\d{2}-\d{2}$")
    return F.coalesce(F.when(is_dated, dated.try_cast("date")), F.to_date(landed_at))
