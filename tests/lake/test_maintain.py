"""Maintenance of the lake: what goes, what stays, and that no row changes."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contracts.tables import TABLES
from lake.catalog import open_catalog
from lake.maintenance import MaintainedTable
from lake.read import SnapshotMissing, read_dates
from lake.tags import model_tag, tag_snapshots
from sources.store import s3_client

if TYPE_CHECKING:
    from tests.lake.conftest import Lake

pytestmark = [pytest.mark.spark, pytest.mark.stack]

LABELS, MERCHANTS = "processed.labels", "processed.merchants"


def test_a_dry_run_changes_nothing_and_says_what_maintenance_then_does(lake: "Lake") -> None:
    """Slow: three writes, then Iceberg's procedures, as a dry run and for real."""
    for rows in (30, 20, 20):
        newest = lake.day(rows=rows)
    before = lake.contents(LABELS)
    folder, settings = lake.folder(LABELS) / "data", lake.settings
    client, bucket = s3_client(settings, "processor"), settings.s3.lake_bucket
    prefix = before.table.location().removeprefix(f"s3://{bucket}/")
    for name in ("old", "young"):
        client.put_object(Bucket=bucket, Key=f"{prefix}/data/{name}.parquet", Body=b"left")
    two_days_ago = time.time() - 2 * 86400
    os.utime(folder / "old.parquet", (two_days_ago, two_days_ago))
    rows, stored = lake.rows(), _bytes(folder)

    said = lake.maintain(LABELS, dry_run=True)
    assert lake.contents(LABELS).table.metadata_location == before.table.metadata_location
    assert _bytes(folder) == stored
    done = lake.maintain(LABELS)

    assert done == said
    assert done.expired_snapshots == len(before.snapshots) - 1 >= 2
    assert (done.orphan_files, done.orphan_bytes) == (1, 4)
    assert stored - _bytes(folder) == done.expired_bytes + done.orphan_bytes > 4
    assert lake.rows() == rows
    assert list(lake.contents(LABELS).snapshots) == [newest]
    assert (folder / "young.parquet").is_file(), "a run in work may need it yet"
    assert lake.maintain(LABELS) == MaintainedTable(LABELS)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.parquet"))


def test_small_files_of_a_partition_are_joined_and_the_note_of_the_run_stays(lake: "Lake") -> None:
    from lake.frames import note_of

    lake.day(0)
    lake.day(1, note="made from 7")
    lake.cut(LABELS, 4)
    rows, sizes = lake.rows(), lake.contents(LABELS).per_partition
    assert all(len(files) > 1 for files in sizes.values())
    assert note_of(lake.spark, LABELS, "main") == "made from 7"

    done = lake.maintain(LABELS, snapshots_at_least=9)

    files = [size for partition in sizes.values() for size in partition]
    assert (done.compacted_files, done.compacted_bytes) == (len(files), sum(files))
    assert [len(files) for files in lake.contents(LABELS).per_partition.values()] == [1, 1]
    assert lake.rows() == rows
    # By its note, an old window that is prepared again does not take late rows back.
    assert note_of(lake.spark, LABELS, "main") == "made from 7"


def test_maintenance_compacts_merged_rows_and_removes_their_delete_files(lake: "Lake") -> None:
    """Slow: three merges, then Iceberg's procedures."""
    for number in range(3):
        lake.commit(MERCHANTS, lake.merchants(number))
    rows = lake.rows(MERCHANTS)
    assert len(rows) == 50
    before = lake.contents(MERCHANTS)
    assert len(before.files(before.branches["main"])) == 3 + 2, "files of rows and of deletes"

    done = lake.maintain(MERCHANTS)

    contents = lake.contents(MERCHANTS)
    assert (done.compacted_files, len(contents.files(contents.branches["main"]))) == (3, 1)
    assert lake.rows(MERCHANTS) == rows
    assert lake.maintain(MERCHANTS).compacted_files == 0


def test_what_a_model_was_trained_on_outlives_expiry(lake: "Lake") -> None:
    first, second = lake.day(rows=10), lake.day(rows=20)
    lake.day(rows=30)
    learnt = read_dates(lake.catalog, LABELS, first, None).read_all()
    tag = model_tag("fraud_detector_sparkov", 1)
    writer = open_catalog(lake.settings, "processor")
    for _ in range(2):
        tag_snapshots(writer, {LABELS: first}, tag)
    with pytest.raises(ValueError, match="names snapshot"):
        tag_snapshots(writer, {LABELS: second}, tag)

    lake.maintain(LABELS)

    assert lake.contents(LABELS).tags == {tag: first}
    assert learnt.num_rows == 10
    assert read_dates(lake.catalog, LABELS, first, None).read_all().equals(learnt)
    with pytest.raises(SnapshotMissing):
        read_dates(lake.catalog, LABELS, second, None)
    with pytest.raises(SnapshotMissing, match="train again"):
        tag_snapshots(writer, {LABELS: second}, "model_late_v1")
    writer.close()


def test_what_a_window_in_flight_reads_is_kept_with_all_that_came_after(lake: "Lake") -> None:
    lake.day(rows=10)
    kept = [lake.day(rows=20), lake.day(rows=30), lake.day(rows=40)]

    lake.maintain(LABELS, in_use={LABELS: {kept[0], 1234}})

    assert sorted(lake.contents(LABELS).snapshots) == sorted(kept)


def test_a_branch_in_work_is_awaited_and_a_dead_one_goes(lake: "Lake") -> None:
    from lake.branches import open_branch
    from lake.frames import write

    lake.day()
    lake.cut(LABELS, 3)
    open_branch(lake.spark, [TABLES[LABELS]], "audit_killed_1")
    write(lake.labels(1, 20), LABELS, "audit_killed_1")
    before = lake.contents(LABELS)

    done = lake.maintain(LABELS)
    assert (done.dropped_branches, done.awaited_branches) == ((), ("audit_killed_1",))
    assert done.compacted_files == 0
    assert lake.contents(LABELS).branches == before.branches, "a publish would be refused"

    done = lake.maintain(LABELS, branches_since=datetime.now(UTC))
    assert done.dropped_branches == ("audit_killed_1",)
    assert done.compacted_files == 3
    assert set(lake.contents(LABELS).branches) == {"main"}
