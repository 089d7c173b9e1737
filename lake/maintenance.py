"""Keep the lake's tables small: compaction, manifests, snapshots, leftover branches and files.

Each step commits completely or not at all, and no step changes a row: after a kill the tables are
correct, and the next run does the rest. Maintenance writes to main, so it runs while no run
publishes. The files of a table with an audit branch in use are not compacted until the next run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql import Row, SparkSession

from contracts.render.to_iceberg import CATALOG
from contracts.tables import TABLES, Table, zone
from lake.branches import drop_branch
from lake.table_contents import table_contents

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

_AUDIT: Final = "audit_"
_COMPACTION: Final = "'min-input-files', '2', 'remove-dangling-deletes', 'true'"
_MANIFESTS: Final = 20
"""The manifests of a table with more of them are rewritten, because planning a read opens each."""


@dataclass(frozen=True)
class Limits:
    """What is kept: times in UTC, and the least number of main's newest snapshots."""

    snapshots_since: datetime
    snapshots_at_least: int
    branches_since: datetime
    orphans_since: datetime


@dataclass(frozen=True)
class MaintainedTable:
    """What maintenance did to a table, or would do: counts and bytes."""

    table: str
    dropped_branches: tuple[str, ...] = ()
    awaited_branches: tuple[str, ...] = ()
    compacted_files: int = 0
    compacted_bytes: int = 0
    rewritten_manifests: int = 0
    expired_snapshots: int = 0
    expired_bytes: int = 0
    orphan_files: int = 0
    orphan_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe form."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


def maintain(
    spark: SparkSession,
    catalog: Catalog,
    limits: Limits,
    *,
    in_use: Mapping[str, Iterable[int]],
    dry_run: bool,
    tables: Iterable[str] | None = None,
) -> list[MaintainedTable]:
    """Maintain tables of the lake, one after the other; by default all of them.

    Args:
        spark: a session that may write the lake.
        catalog: the same lake, to read its metadata.
        limits: what is kept.
        in_use: snapshots by table that a run still has to read. They and all later snapshots are
            kept, because a later run reads the ancestors of a snapshot.
        dry_run: change nothing, return what would be done.
        tables: names, as `processed.labels`.
    """
    known = [table.name for of_zone in ("processed", "sandbox") for table in zone(of_zone)]
    return [
        _maintain(spark, catalog, TABLES[name], limits, set(in_use.get(name, ())), dry_run)
        for name in (known if tables is None else tables)
        if catalog.table_exists(name)
    ]


def _maintain(
    spark: SparkSession,
    catalog: Catalog,
    table: Table,
    limits: Limits,
    in_use: set[int],
    dry_run: bool,
) -> MaintainedTable:
    contents = table_contents(catalog, table.name)
    audits = {name: at for name, at in contents.branches.items() if name.startswith(_AUDIT)}
    leftovers = tuple(
        sorted(n for n, at in audits.items() if contents.committed_at(at) < limits.branches_since)
    )
    awaited = tuple(sorted(set(audits) - set(leftovers)))
    small_files, small_bytes = (0, 0) if awaited else contents.compactable
    manifests = (
        contents.manifest_count if not awaited and contents.manifest_count > _MANIFESTS else 0
    )
    if not dry_run:
        for branch in leftovers:
            drop_branch(spark, [table], branch)
        if small_files:
            _call(spark, table, "rewrite_data_files", f"options => map({_COMPACTION})")
        if manifests:
            _call(spark, table, "rewrite_manifests")
        contents = table_contents(catalog, table.name)

    since = min([limits.snapshots_since, *contents.commit_times(in_use)])
    expired = contents.expirable(since, limits.snapshots_at_least, without=leftovers)
    expired_bytes = contents.only_in(expired)
    if expired and not dry_run:
        _call(
            spark,
            table,
            "expire_snapshots",
            f"older_than => {_instant(since)}, retain_last => {limits.snapshots_at_least}",
        )
    orphans = _orphans(spark, table, limits.orphans_since, dry_run=True)
    orphan_bytes = contents.sizes(orphans)
    if orphans and not dry_run:
        _orphans(spark, table, limits.orphans_since, dry_run=False)
    return MaintainedTable(
        table=table.name,
        dropped_branches=leftovers,
        awaited_branches=awaited,
        compacted_files=small_files,
        compacted_bytes=small_bytes,
        rewritten_manifests=manifests,
        expired_snapshots=len(expired),
        expired_bytes=expired_bytes,
        orphan_files=len(orphans),
        orphan_bytes=orphan_bytes,
    )


def _orphans(spark: SparkSession, table: Table, since: datetime, *, dry_run: bool) -> list[str]:
    """Return the files of the table's folder that no snapshot names; remove them unless `dry_run`.

    Raises:
        IllegalArgumentException: from Spark, when `since` is less than a day ago and something
            would be removed: a run in progress has files that no snapshot names yet.
    """
    rows = _call(
        spark,
        table,
        "remove_orphan_files",
        # Hadoop's listing does not support the scheme s3; the table's FileIO does.
        f"older_than => {_instant(since)}, dry_run => {str(dry_run).lower()},"
        " prefix_listing => true",
    )
    return [row["orphan_file_location"] for row in rows]


def _call(spark: SparkSession, table: Table, procedure: str, more: str = "") -> list[Row]:
    arguments = f"table => '{table.name}'{', ' if more else ''}{more}"
    rows: list[Row] = spark.sql(f"CALL {CATALOG}.system.{procedure}({arguments})").collect()
    return rows


def _instant(at: datetime) -> str:
    """Return a timestamp literal; the session's time zone is UTC."""
    return f"TIMESTAMP '{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}'"
