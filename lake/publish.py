"""Publish what a gate has passed: main moves to the audit branch, table by table."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, TypeVar

from pyspark.sql import SparkSession

from contracts.render.to_iceberg import CATALOG, qualified
from contracts.stage_results import PrepareResult, ProcessResult
from contracts.stages import Stage
from contracts.tables import Table, zone
from lake.branches import MAIN, alter, ancestors, drop_branch, references

_ZONE: Final = {Stage.PROCESS: "processed", Stage.PREPARE: "sandbox"}

Audited = ProcessResult | PrepareResult
_A = TypeVar("_A", bound=Audited)


class PublishConflictError(RuntimeError):
    """Raised when another run has published meanwhile: run the stage again, then its gate."""


def publish(spark: SparkSession, audited: _A) -> _A:
    """Fast-forward main of the stage's tables to the audited snapshots and drop the branch.

    It can run again after a kill: a table whose main has the snapshot already does not change.

    Raises:
        PublishConflictError: when main of a table has moved since the branch was opened. Nothing
            is published, unless main moves between this check and the fast-forward.
    """
    tables = zone(_ZONE[audited.stage])
    branch = audited.branch
    if branch is None:
        return audited
    heads = references(spark, tables)
    ends = {t.name: (audited.snapshots[t.name], heads[t.name].get(MAIN)) for t in tables}
    asked = [(name, at) for name, pair in ends.items() for at in pair if at is not None]
    lineage = ancestors(spark, list(ends), asked)
    waiting = []
    for table in tables:
        snapshot, main = ends[table.name]
        if main is not None and snapshot in lineage[table.name, main]:
            continue
        is_ahead = main is None or main in lineage[table.name, snapshot]
        if heads[table.name].get(branch) != snapshot or not is_ahead:
            raise _conflict(table, audited)
        waiting.append(table)
    with ThreadPoolExecutor(len(tables)) as pool:
        list(pool.map(lambda table: _forward(spark, table, branch, audited), waiting))
    drop_branch(spark, [table for table in tables if branch in heads[table.name]], branch)
    return replace(audited, branch=None)


def discard(spark: SparkSession, audited: Audited) -> None:
    """Drop the branch of a run that its gate refused."""
    if audited.branch is not None:
        drop_branch(spark, zone(_ZONE[audited.stage]), audited.branch)


def _forward(spark: SparkSession, table: Table, branch: str, audited: Audited) -> None:
    try:
        alter(
            spark,
            f"CALL {CATALOG}.system.fast_forward('{qualified(table.name)}', '{MAIN}', '{branch}')",
        )
    except Exception as error:
        if "not an ancestor" in str(error):
            raise _conflict(table, audited) from error
        raise


def _conflict(table: Table, audited: Audited) -> PublishConflictError:
    return PublishConflictError(
        f"{table.name} was published by another run while the window {audited.window.key}"
        f" was in audit: run the stage {audited.stage} again for it."
    )
