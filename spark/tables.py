"""Lake tables: created from the contracts, written on branches, read at snapshots."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from tenacity import (
    retry,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from contracts.render.to_iceberg import create_table, properties, qualified, set_properties
from contracts.tables import TABLES, Table, zone
from lake.dates import date_ranges
from spark.conform import conform
from spark.transforms.quarantine import delivered_date

_COMMITS_AT_ONCE: Final = 3
MAIN: Final = "main"
_QUARANTINE: Final = TABLES["processed.quarantine"]
_NOTE: Final = "tollgate.note"
ONE_FILE_AT_A_TIME: Final = {"fanout-enabled": "false"}
"""Options of writes. Rows of a task are sorted by date, and one file is open at a time. By default
the files of all dates are open, which takes more memory than the driver has for a history."""


def branch_name(run_id: str) -> str:
    """Return the audit branch of a run: its id in safe characters, and a hash to avoid collisions.

    >>> branch_name("manual__2024-05-01T00:00:00+00:00")
    'audit_manual__2024_05_01t00_00_00_00_00_7a7d63'
    """
    plain = re.sub(r"[^a-z0-9_]", "_", run_id.lower())[:60]
    return f"audit_{plain}_{hashlib.sha256(run_id.encode()).hexdigest()[:6]}"


def in_parallel(spark: SparkSession, statements: Iterable[str]) -> None:
    """Run metadata statements in parallel, each on another table."""
    with ThreadPoolExecutor(_COMMITS_AT_ONCE) as pool:
        list(pool.map(lambda statement: alter(spark, statement), statements))


@retry(
    retry=retry_if_exception(lambda error: "CommitFailedException" in str(error)),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    reraise=True,
)
def alter(spark: SparkSession, statement: str) -> None:
    """Run a metadata statement on a table; retry when another run has changed the table.

    Iceberg retries commits of rows, but not changes of branches.
    """
    spark.sql(statement).collect()


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
    """Give a table of an earlier version its merge properties, or its dates of delivery."""
    if table == _QUARANTINE:
        _upgrade_quarantine(spark)
    elif table.interval:
        rows = spark.sql(f"SHOW TBLPROPERTIES {qualified(table.name)}").collect()
        if not properties(table).items() <= {tuple(row) for row in rows}:
            alter(spark, set_properties(table))


def _upgrade_quarantine(spark: SparkSession) -> None:
    """Partition a quarantine that has no dates of delivery.

    Iceberg replaces the table in one commit. Earlier snapshots stay readable.
    """
    name, column = qualified(_QUARANTINE.name), str(_QUARANTINE.partition_by)
    quarantine = spark.table(name)
    if column not in quarantine.columns:
        date = delivered_date(F.col("raw_object"), F.col("first_seen_at"))
        rows = conform(quarantine.withColumn(column, date), _QUARANTINE)
        rows.writeTo(name).using("iceberg").partitionedBy(F.col(column)).createOrReplace()


def open_branch(spark: SparkSession, tables: Sequence[Table], branch: str) -> None:
    """Create the branch of a run from main in each table, replacing the branch of a killed run."""

    def start(table: Table) -> None:
        replace = f"ALTER TABLE {qualified(table.name)} CREATE OR REPLACE BRANCH {branch}"
        try:
            alter(spark, replace)
        except Exception as error:
            # The first run was killed: main has no snapshot from which to replace the branch.
            if "main has no snapshot" not in str(error):
                raise
            alter(spark, f"ALTER TABLE {qualified(table.name)} DROP BRANCH {branch}")
            alter(spark, replace)

    with ThreadPoolExecutor(_COMMITS_AT_ONCE) as pool:
        list(pool.map(start, tables))


def drop_branch(spark: SparkSession, tables: Sequence[Table], branch: str) -> None:
    """Remove the branch of a run from each table that has it."""
    in_parallel(
        spark,
        [f"ALTER TABLE {qualified(table.name)} DROP BRANCH IF EXISTS {branch}" for table in tables],
    )


def read(spark: SparkSession, table: str, version: str | int) -> DataFrame:
    """Return a lake table at a branch or a snapshot."""
    at = str(version) if isinstance(version, int) else f"'{version}'"
    return spark.sql(f"SELECT * FROM {qualified(table)} VERSION AS OF {at}")  # noqa: S608 - our own names


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


def ancestors(
    spark: SparkSession, tables: Sequence[str], snapshots: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], set[int]]:
    """Return the id of each (table, snapshot) and the ids of its ancestors."""
    query = " UNION ALL ".join(
        f"SELECT '{table}' AS table, snapshot_id, parent_id"  # noqa: S608 - our own names
        f" FROM {qualified(table)}.snapshots"
        for table in tables
    )
    parents = {
        (row["table"], row["snapshot_id"]): row["parent_id"] for row in spark.sql(query).collect()
    }
    ancestors_of: dict[tuple[str, int], set[int]] = {}
    for table, snapshot in snapshots:
        line = ancestors_of.setdefault((table, snapshot), set())
        at: int | None = snapshot
        while at is not None:
            line.add(at)
            at = parents.get((table, at))
    return ancestors_of


def references(spark: SparkSession, tables: Sequence[Table]) -> dict[str, dict[str, int]]:
    """Return the snapshot of each branch of each table, by table and branch."""
    query = " UNION ALL ".join(
        f"SELECT '{table.name}' AS table, name, snapshot_id FROM {qualified(table.name)}.refs"  # noqa: S608 - our own names
        for table in tables
    )
    snapshots: dict[str, dict[str, int]] = {table.name: {} for table in tables}
    for row in spark.sql(query).collect():
        snapshots[row["table"]][row["name"]] = row["snapshot_id"]
    return snapshots


def within(column: str, ranges: Sequence[tuple[date, date]]) -> Column:
    """Return the condition that a date is in one of the ranges, which prunes partitions."""
    inside = [F.col(column).between(F.lit(start), F.lit(end)) for start, end in ranges]
    return reduce(lambda left, right: left | right, inside, F.lit(False))
