"""Branches of lake tables: each run writes to its own branch, until its gate has passed it."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from pyspark.sql import SparkSession
from tenacity import (
    retry,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from contracts.render.to_iceberg import qualified
from contracts.tables import Table

MAIN: Final = "main"
_COMMITS_AT_ONCE: Final = 3


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
