"""Spark frames of lake tables: read at a branch or a snapshot, written to a branch."""

from collections.abc import Sequence
from datetime import date
from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from contracts.render.to_iceberg import qualified
from contracts.render.to_spark import dtypes
from contracts.stage_results import PrepareResult, ProcessResult
from contracts.tables import TABLES, Table
from lake.dates import date_ranges, rows_on, touched_dates

_NOTE: Final = "tollgate.note"
ONE_FILE_AT_A_TIME: Final = {"fanout-enabled": "false"}
"""Options of writes. Rows of a task are sorted by date, and one file is open at a time. By default
the files of all dates are open, which takes more memory than the driver has for a history."""


class FrameError(TypeError):
    """Raised when a frame lacks columns of its table."""


def conform(df: DataFrame, table: Table) -> DataFrame:
    """Select the columns of `table` in order and cast each to its declared type.

    Raises:
        FrameError: when columns are missing, naming each.
    """
    missing = [name for name in table.column_names if name not in df.columns]
    if missing:
        raise FrameError(f"the frame for {table.name} lacks {', '.join(missing)}")
    return df.select(*(F.col(name).cast(kind).alias(name) for name, kind in dtypes(table)))


def read(spark: SparkSession, table: str, version: str | int) -> DataFrame:
    """Return a lake table at a branch or a snapshot.

    A column that was added after the snapshot is null.
    """
    at = str(version) if isinstance(version, int) else f"'{version}'"
    rows = spark.sql(f"SELECT * FROM {qualified(table)} VERSION AS OF {at}")  # noqa: S608 - our own names
    declared = TABLES.get(table)
    if declared is None or not isinstance(version, int):
        return rows  # A branch has the columns of the table.
    later = {
        name: F.lit(None).cast(kind)
        for name, kind in dtypes(declared)
        if declared.is_nullable(name) and name not in rows.columns
    }
    return rows.withColumns(later) if later else rows


def audit_frame(
    spark: SparkSession,
    result: ProcessResult | PrepareResult,
    table: str,
    dates: Sequence[date] | None = None,
) -> DataFrame:
    """Return a table at the snapshot that `result` names, audited or published.

    Only the rows on `dates` are read, by default on those that the run wrote.
    """
    declared = TABLES[table]
    days = touched_dates(result, declared) if dates is None else dates
    return read(spark, table, result.snapshots[table]).filter(rows_on(declared, days))


def write(
    df: DataFrame,
    table: str,
    branch: str,
    dates: Sequence[date] | None = None,
    note: str | None = None,
) -> None:
    """Replace, on a branch, the rows of `dates` by `df`, which has rows of these dates only.

    A date without rows is empty afterwards. Without `dates`, the dates of `df` are replaced. `note`
    is stored with the snapshot, for `note_of`.

    Iceberg distributes rows by date, so that each date is one file, and retries the commit when
    another run has changed the table.
    """
    declared = TABLES[table]
    name = f"{qualified(table)}.branch_{branch}"
    writer = conform(df, declared).writeTo(name).options(**ONE_FILE_AT_A_TIME)
    if note is not None:
        writer = writer.option(f"snapshot-property.{_NOTE}", note)
    if dates is None:
        writer.overwritePartitions()
    else:
        writer.overwrite(within(str(declared.partition_by), date_ranges(dates)))


def merge(df: DataFrame, table: str, branch: str) -> None:
    """Insert the rows with new keys into a branch, and update the rows that differ."""
    declared = TABLES[table]
    same_key = " AND ".join(f"t.{name} = s.{name}" for name in declared.key)
    equal = " AND ".join(f"t.{name} <=> s.{name}" for name in declared.column_names)
    df.sparkSession.sql(
        f"MERGE INTO {qualified(table)}.branch_{branch} AS t USING {{rows}} AS s"
        f" ON {same_key} WHEN MATCHED AND NOT ({equal}) THEN UPDATE SET *"
        " WHEN NOT MATCHED THEN INSERT *",
        rows=conform(df, declared),
    ).collect()


def delete(keys: DataFrame, table: str, branch: str) -> None:
    """Delete the rows with these keys from a branch."""
    same_key = " AND ".join(f"t.{name} = s.{name}" for name in TABLES[table].key)
    keys.sparkSession.sql(
        f"MERGE INTO {qualified(table)}.branch_{branch} AS t USING {{keys}} AS s"
        f" ON {same_key} WHEN MATCHED THEN DELETE",
        keys=keys,
    ).collect()


def note_of(spark: SparkSession, table: str, branch: str) -> str | None:
    """Return the newest note in the history of a branch, or None; compaction writes no notes."""
    name = qualified(table)
    rows = spark.sql(
        f"SELECT snapshot_id, parent_id, summary['{_NOTE}'] AS note FROM {name}.snapshots"  # noqa: S608 - our own names
    ).collect()
    snapshots = {row["snapshot_id"]: row for row in rows}
    heads = spark.sql(
        f"SELECT snapshot_id FROM {name}.refs WHERE name = '{branch}'"  # noqa: S608 - our own names
    ).collect()
    at = snapshots.get(heads[0]["snapshot_id"]) if heads else None
    while at is not None and at["note"] is None:
        at = snapshots.get(at["parent_id"])
    return None if at is None else at["note"]


def within(column: str, ranges: Sequence[tuple[date, date]]) -> Column:
    """Return the condition that a date is in one of the ranges, which prunes partitions."""
    inside = [F.col(column).between(F.lit(start), F.lit(end)) for start, end in ranges]
    return reduce(lambda left, right: left | right, inside, F.lit(False))
