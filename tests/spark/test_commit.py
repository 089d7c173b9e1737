"""Files committed to a branch by pyiceberg alone: a catalog in a folder, no Spark, no server."""

import time
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions.visitors import _ManifestEvalVisitor
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import DateType, NestedField

from spark.files import commit_files
from spark.tables import MAIN

DAYS = range(19844, 19852)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Return a table with a date for its partitions."""
    catalog = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}")
    catalog.create_namespace("processed")
    schema = Schema(NestedField(1, "event_date", DateType(), required=True))
    field = PartitionField(1, 1000, IdentityTransform(), "event_date")
    return catalog.create_table("processed.labels", schema, partition_spec=PartitionSpec(field))


def file_of(day: int, name: str) -> DataFile:
    """Return a file as Iceberg lists it; commits never open it."""
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"file:///{day}/{name}.parquet",
        file_format=FileFormat.PARQUET,
        partition=Record(day),
        record_count=1,
        file_size_in_bytes=1,
        spec_id=0,
    )


def held(table: Table) -> set[str]:
    snapshot = table.refresh().metadata.snapshot_by_name(MAIN)
    assert snapshot is not None
    return {t.file.file_path for t in table.scan(snapshot_id=snapshot.snapshot_id).plan_files()}


def test_a_day_among_many_manifests_is_replaced_however_threads_take_turns(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in DAYS:
        commit_files(table.refresh(), MAIN, [file_of(day, "first")], {})
    look = _ManifestEvalVisitor.visit_equal

    def slow(self: Any, term: Any, literal: Any) -> bool:
        time.sleep(0.01)  # another thread has its turn between "this manifest" and a look at it
        return look(self, term, literal)

    monkeypatch.setattr(_ManifestEvalVisitor, "visit_equal", slow)

    commit_files(table.refresh(), MAIN, [file_of(DAYS[3], "second")], {})

    renewed = {f"file:///{day}/{'second' if day == DAYS[3] else 'first'}.parquet" for day in DAYS}
    assert held(table) == renewed
