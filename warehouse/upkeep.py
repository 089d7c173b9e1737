"""What a lake table consists of: snapshots, references, manifests, files and their bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import psycopg
from pyiceberg.exceptions import CommitFailedException
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from warehouse.lake import SnapshotMissing

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

MAIN: Final = "main"
_BRANCH: Final = "branch"
# Of the target size below which Iceberg's compaction takes a file for small.
_SMALL: Final = 0.75
_TARGET: Final = "write.target-file-size-bytes"
_TARGET_BYTES: Final = 512 * 2**20

RANGE_AFTER_CARE: Final[Mapping[str, int]] = {
    "files a partition": 1,
    "snapshots": 28,
    "branches": 1,
    "manifests": 28,
    "metadata files": 21,
    "other metadata": 90,
    "outdated data files": 28,
}
"""The most that a table consists of after daily runs with weekly care (docs/scale.md)."""


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


@dataclass(frozen=True)
class Holding:
    """A table as its newest metadata describes it; manifests are read when they are asked for."""

    table: Table
    manifests: dict[str, dict[str, tuple[Any, int]]]
    """Partition and bytes of each live data file, by manifest and file; filled as it is read."""

    @cached_property
    def snapshots(self) -> Mapping[int, Snapshot]:
        """Return every snapshot by its id."""
        return {one.snapshot_id: one for one in self.table.metadata.snapshots}

    @cached_property
    def branches(self) -> dict[str, int]:
        """Return the newest snapshot of each branch."""
        return {n: r.snapshot_id for n, r in self.table.refs().items() if self._is_branch(n)}

    @cached_property
    def tags(self) -> dict[str, int]:
        """Return the snapshot of each tag."""
        return {n: r.snapshot_id for n, r in self.table.refs().items() if not self._is_branch(n)}

    def _is_branch(self, name: str) -> bool:
        return str(self.table.refs()[name].snapshot_ref_type.value) == _BRANCH

    def committed_at(self, snapshot: int) -> datetime:
        """Return when a snapshot was committed, UTC."""
        return _instant(self.snapshots[snapshot].timestamp_ms)

    def commit_times(self, snapshots: Iterable[int]) -> list[datetime]:
        """Return when those of the snapshots that still exist were committed."""
        return [self.committed_at(one) for one in snapshots if one in self.snapshots]

    def files(self, snapshot: int) -> dict[str, tuple[Any, int]]:
        """Return partition and bytes of each data file of a snapshot."""
        found: dict[str, tuple[Any, int]] = {}
        for manifest in self.snapshots[snapshot].manifests(self.table.io):
            if manifest.manifest_path not in self.manifests:
                entries = manifest.fetch_manifest_entry(self.table.io, discard_deleted=True)
                self.manifests[manifest.manifest_path] = {
                    entry.data_file.file_path: (
                        entry.data_file.partition,
                        entry.data_file.file_size_in_bytes,
                    )
                    for entry in entries
                }
            found.update(self.manifests[manifest.manifest_path])
        return found

    @property
    def manifest_count(self) -> int:
        """Return the number of manifests of main's newest snapshot."""
        if MAIN not in self.branches:
            return 0
        return len(self.snapshots[self.branches[MAIN]].manifests(self.table.io))

    @cached_property
    def per_partition(self) -> dict[Any, list[int]]:
        """Return the bytes of main's data files, by partition."""
        found: dict[Any, list[int]] = defaultdict(list)
        if MAIN in self.branches:
            for partition, size in self.files(self.branches[MAIN]).values():
                found[partition].append(size)
        return dict(found)

    @property
    def compactable(self) -> tuple[int, int]:
        """Return number and bytes of the small files that share a partition with another."""
        target = int(self.table.properties.get(_TARGET, _TARGET_BYTES))
        files = [
            small
            for sizes in self.per_partition.values()
            if len(small := [size for size in sizes if size < _SMALL * target]) > 1
        ]
        return sum(map(len, files)), sum(map(sum, files))

    def expirable(self, since: datetime, at_least: int, without: Collection[str] = ()) -> list[int]:
        """Return the snapshots that Iceberg's expiry takes, if some branches did not exist.

        It keeps what a tag names, and of each branch the newest snapshots: `at_least` so many, and
        those not older than `since`. What no branch leads to goes when it is older.
        """
        kept = set(self.tags.values())
        reached: set[int] = set()
        for name, head in self.branches.items():
            if name in without:
                continue
            at, count, is_kept = self.snapshots.get(head), 0, True
            while at is not None:
                reached.add(at.snapshot_id)
                is_kept = is_kept and (count < at_least or _instant(at.timestamp_ms) >= since)
                if is_kept:
                    kept.add(at.snapshot_id)
                count += 1
                at = self.snapshots.get(at.parent_snapshot_id or -1)
        kept |= {
            one for one in self.snapshots if one not in reached and self.committed_at(one) >= since
        }
        return sorted(set(self.snapshots) - kept)

    def only_in(self, snapshots: Collection[int]) -> int:
        """Return the bytes of data files that no other snapshot needs."""
        if not snapshots:
            return 0
        needed = {
            path for one in self.snapshots if one not in snapshots for path in self.files(one)
        }
        gone = {path: size for one in snapshots for path, (_, size) in self.files(one).items()}
        return sum(size for path, size in gone.items() if path not in needed)

    def sizes(self, paths: Iterable[str]) -> int:
        """Return the bytes of files of the table, asked of the store."""
        return sum(len(self.table.io.new_input(path)) for path in paths)


def in_use(dsn: str, since: datetime) -> dict[str, set[int]]:
    """Return the snapshots by table that the line still has to read, by the run ledger.

    A window's latest results of process and prepare name them, until the window is loaded; of the
    features, until it is scored. Results from before `since` belong to windows that were given up.
    """
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "with latest as (select distinct on (stage, window_key) stage, window_key, finished_at,"
            " details -> 'snapshots' as snapshots from staging.run_ledger"
            " order by stage, window_key, finished_at desc)"
            " select named.key, named.value::bigint from latest as made"
            " left join latest as loaded on loaded.window_key = made.window_key"
            " and loaded.stage = 'load' and loaded.finished_at >= made.finished_at"
            " left join latest as scored on scored.window_key = made.window_key"
            " and scored.stage = 'score' and scored.finished_at >= made.finished_at"
            " cross join lateral jsonb_each_text(made.snapshots) as named (key, value)"
            " where made.stage in ('process', 'redrive', 'prepare') and made.finished_at >= %s"
            " and (loaded.stage is null"
            " or named.key = 'sandbox.features' and scored.stage is null)",
            (since,),
        ).fetchall()
    found: dict[str, set[int]] = defaultdict(set)
    for table, snapshot in rows:
        found[table].add(snapshot)
    return dict(found)


def hold(catalog: Catalog, table: str) -> Holding:
    """Return what a table consists of now."""
    return Holding(catalog.load_table(table), {})


def model_tag(model: str, version: int | str) -> str:
    """Return the tag of the snapshots that a model version was trained on.

    >>> model_tag("fraud_detector_sparkov", 3)
    'model_fraud_detector_sparkov_v3'
    """
    return f"model_{model}_v{version}"


def keep(catalog: Catalog, snapshots: Mapping[str, int], tag: str) -> None:
    """Tag snapshots by table, so that they stay readable however old they become.

    Tagging again is no change. `catalog` must be allowed to write.

    Raises:
        SnapshotMissing: when a snapshot was expired already.
        ValueError: when the tag names another snapshot: a tag never moves.
    """
    for table, snapshot in snapshots.items():
        _tag(catalog, table, snapshot, tag)


@retry(
    retry=retry_if_exception_type(CommitFailedException),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    reraise=True,
)
def _tag(catalog: Catalog, table: str, snapshot: int, tag: str) -> None:
    """Tag one snapshot; again when another run has changed the table meanwhile."""
    held = catalog.load_table(table)
    if held.snapshot_by_id(snapshot) is None:
        raise SnapshotMissing(f"{table} has no snapshot {snapshot}: train again.")
    there = held.refs().get(tag)
    if there is not None and there.snapshot_id != snapshot:
        raise ValueError(f"the tag {tag} of {table} names snapshot {there.snapshot_id} already.")
    if there is None:
        with held.manage_snapshots() as change:
            change.create_tag(snapshot, tag)
