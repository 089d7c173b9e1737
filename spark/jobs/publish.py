"""Publish what a gate has passed: main moves to the audit branch, table by table."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from pyspark.sql import SparkSession

from contracts.render.to_iceberg import CATALOG, qualified
from contracts.results import StageResult
from contracts.stages import Stage
from contracts.tables import Table, zone
from spark.tables import MAIN, drop_branch, references

_ZONE: Final = {Stage.PROCESS: "processed", Stage.PREPARE: "sandbox"}


class PublishConflictError(RuntimeError):
    """Raised when another run has published meanwhile: run the stage again, then its gate."""


def publish(spark: SparkSession, audited: StageResult) -> StageResult:
    """Fast-forward main of the stage's tables to the audited snapshots and drop the branch.

    May run again after a kill: a table whose main holds the snapshot already is left as it is.

    Raises:
        PublishConflictError: when main of a table has moved since the branch was opened; nothing
            is published unless that happens in the very moment between looking and moving.
    """
    tables = zone(_ZONE[Stage(audited.stage)])
    branch = audited.branch
    if branch is None:
        return audited
    held = references(spark, tables)
    parents = _parents(spark, tables)
    waiting = []
    for table in tables:
        snapshot, main = audited.snapshots[table.name], held[table.name].get(MAIN)
        if main is not None and snapshot in _line(parents[table.name], main):
            continue
        if held[table.name].get(branch) != snapshot or (
            main is not None and main not in _line(parents[table.name], snapshot)
        ):
            raise _conflict(table, audited)
        waiting.append(table)
    with ThreadPoolExecutor(len(tables)) as pool:
        list(pool.map(lambda table: _forward(spark, table, branch, audited), waiting))
    drop_branch(spark, [table for table in tables if branch in held[table.name]], branch)
    return replace(audited, branch=None)


def discard(spark: SparkSession, audited: StageResult) -> None:
    """Drop the branch of a run that its gate refused."""
    if audited.branch is not None:
        drop_branch(spark, zone(_ZONE[Stage(audited.stage)]), audited.branch)


def _forward(spark: SparkSession, table: Table, branch: str, audited: StageResult) -> None:
    try:
        spark.sql(
            f"CALL {CATALOG}.system.fast_forward('{table.name}', '{MAIN}', '{branch}')"
        ).collect()
    except Exception as error:
        if "not an ancestor" in str(error):
            raise _conflict(table, audited) from error
        raise


def _conflict(table: Table, audited: StageResult) -> PublishConflictError:
    return PublishConflictError(
        f"{table.name} was published by another run while the window {audited.window} was in"
        f" audit: run the stage {audited.stage} again for it."
    )


def _parents(spark: SparkSession, tables: Sequence[Table]) -> dict[str, dict[int, int | None]]:
    query = " UNION ALL ".join(
        f"SELECT '{table.name}' AS table, snapshot_id, parent_id"  # noqa: S608 - our own names
        f" FROM {qualified(table.name)}.snapshots"
        for table in tables
    )
    found: dict[str, dict[int, int | None]] = {table.name: {} for table in tables}
    for row in spark.sql(query).collect():
        found[row["table"]][row["snapshot_id"]] = row["parent_id"]
    return found


def _line(parents: dict[int, int | None], snapshot: int) -> set[int]:
    """Return a snapshot and its ancestors."""
    line: set[int] = set()
    at: int | None = snapshot
    while at is not None and at not in line:
        line.add(at)
        at = parents.get(at)
    return line
