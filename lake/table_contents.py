"""Contents of a lake table: snapshots, references, manifests, files and their bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from lake.branches import MAIN

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

_BRANCH: Final = "branch"
# Share of the target size below which Iceberg's compaction considers a file small.
_SMALL: Final = 0.75
_TARGET: Final = "write.target-file-size-bytes"
_TARGET_BYTES: Final = 512 * 2**20


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


@dataclass(frozen=True)
class TableContents:
    """A table according to its newest metadata; manifests are read on demand."""

    table: Table
    manifests: dict[str, dict[str, tuple[Any, int]]]
    """Cache of partition and bytes of each live file, by manifest and file.

    The partition of a delete file is None, because compaction counts data files only.
    """

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
        """Return the commit times of those snapshots that still exist."""
        return [self.committed_at(one) for one in snapshots if one in self.snapshots]

    def files(self, snapshot: int) -> dict[str, tuple[Any, int]]:
        """Return partition and bytes of each file of a snapshot."""
        from pyiceberg.manifest import DataFileContent

        files: dict[str, tuple[Any, int]] = {}
        for manifest in self.snapshots[snapshot].manifests(self.table.io):
            if manifest.manifest_path not in self.manifests:
                entries = manifest.fetch_manifest_entry(self.table.io, discard_deleted=True)
                self.manifests[manifest.manifest_path] = {
                    entry.data_file.file_path: (
                        entry.data_file.partition
                        if entry.data_file.content == DataFileContent.DATA
                        else None,
                        entry.data_file.file_size_in_bytes,
                    )
                    for entry in entries
                }
            files.update(self.manifests[manifest.manifest_path])
        return files

    @property
    def manifest_count(self) -> int:
        """Return the number of manifests of main's newest snapshot."""
        if MAIN not in self.branches:
            return 0
        return len(self.snapshots[self.branches[MAIN]].manifests(self.table.io))

    @cached_property
    def per_partition(self) -> dict[Any, list[int]]:
        """Return the bytes of main's data files, by partition."""
        sizes: dict[Any, list[int]] = defaultdict(list)
        if MAIN in self.branches:
            for partition, size in self.files(self.branches[MAIN]).values():
                if partition is not None:
                    sizes[partition].append(size)
        return dict(sizes)

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
        """Return the snapshots that Iceberg would expire, as if some branches did not exist.

        Iceberg keeps tagged snapshots, and of each branch the newest snapshots: at least
        `at_least`, and those not older than `since`. It expires older snapshots that are not on a
        branch.
        """
        retained = set(self.tags.values())
        reached: set[int] = set()
        for name, head in self.branches.items():
            if name in without:
                continue
            at, count, is_kept = self.snapshots.get(head), 0, True
            while at is not None:
                reached.add(at.snapshot_id)
                is_kept = is_kept and (count < at_least or _instant(at.timestamp_ms) >= since)
                if is_kept:
                    retained.add(at.snapshot_id)
                count += 1
                at = self.snapshots.get(at.parent_snapshot_id or -1)
        retained |= {
            snapshot_id
            for snapshot_id in self.snapshots
            if snapshot_id not in reached and self.committed_at(snapshot_id) >= since
        }
        return sorted(set(self.snapshots) - retained)

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
        """Return the bytes of files of the table, from the store."""
        return sum(len(self.table.io.new_input(path)) for path in paths)


def table_contents(catalog: Catalog, table: str) -> TableContents:
    """Return the current contents of a table."""
    return TableContents(catalog.load_table(table), {})
