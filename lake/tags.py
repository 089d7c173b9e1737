"""Tags of the snapshots that a model was trained on, which maintenance keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyiceberg.exceptions import CommitFailedException
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from lake.read import SnapshotMissing

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


def model_tag(model: str, version: int | str) -> str:
    """Return the tag of the snapshots that a model version was trained on.

    >>> model_tag("fraud_detector_sparkov", 3)
    'model_fraud_detector_sparkov_v3'
    """
    return f"model_{model}_v{version}"


def tag_snapshots(catalog: Catalog, snapshots: Mapping[str, int], tag: str) -> None:
    """Tag snapshots by table, so that they are never expired.

    Tagging twice changes nothing. `catalog` needs write permission.

    Raises:
        SnapshotMissing: when a snapshot was expired already.
        ValueError: when the tag exists on another snapshot: tags never move.
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
    """Tag one snapshot; retry when another run has changed the table."""
    iceberg_table = catalog.load_table(table)
    if iceberg_table.snapshot_by_id(snapshot) is None:
        raise SnapshotMissing(f"{table} has no snapshot {snapshot}: train again.")
    existing = iceberg_table.refs().get(tag)
    if existing is not None and existing.snapshot_id != snapshot:
        raise ValueError(f"the tag {tag} of {table} names snapshot {existing.snapshot_id} already.")
    if existing is None:
        with iceberg_table.manage_snapshots() as change:
            change.create_tag(snapshot, tag)
