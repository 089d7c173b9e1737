"""Rows of a frame written to a table on a branch, by Iceberg's own writer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from contracts.tables import TABLES
from tests.spark.times import utc

if TYPE_CHECKING:
    from tests.spark.conftest import Line

pytestmark = [pytest.mark.spark, pytest.mark.stack]
LABELS, QUARANTINE = "processed.labels", "processed.quarantine"
BRANCH = "audit_write"
MAY = {day: date(2024, 5, day) for day in range(1, 6)}
SCHEMA = (
    "event_id string, source_system string, event_date date, is_fraud boolean, scenario string,"
    " label_source string, known_at timestamp, raw_object string"
)


def labels(line: "Line", *given: tuple[str | None, int]) -> Any:
    """Return a label for each id and day of May."""
    at = datetime(2024, 5, 9, 12, 30, 15, 123456, UTC)
    return line.spark.createDataFrame(
        [
            (name, "sparkov", date(2024, 5, day), day % 2 == 0, None, "truth", at, f"o{day}")
            for name, day in given
        ],
        SCHEMA,
    )


@pytest.fixture
def branch(line: "Line") -> str:
    """Open an empty branch."""
    from lake.branches import open_branch
    from lake.tables import ensure_tables

    open_branch(line.spark, ensure_tables(line.spark, "processed"), BRANCH)
    return BRANCH


def folders(line: "Line", table: str) -> list[str]:
    """Return the folder of each file of the table on the branch."""
    from lake.frames import read

    files = read(line.spark, table, BRANCH).selectExpr("input_file_name() AS file").distinct()
    return sorted(row["file"].split("/")[-2] for row in files.collect())


def rows_of(line: "Line", table: str = LABELS) -> list[dict[str, Any]]:
    from lake.frames import read

    rows = read(line.spark, table, BRANCH).collect()
    return sorted((row.asDict() for row in rows), key=lambda row: row["event_id"])


def test_a_day_is_a_file_and_only_the_days_written_are_replaced(line: "Line", branch: str) -> None:
    from lake.frames import write

    write(labels(line, ("b", 2), ("a", 1), ("c", 2)), LABELS, branch)
    first = rows_of(line)
    assert [(row["event_id"], row["event_date"].day) for row in first] == [
        ("a", 1),
        ("b", 2),
        ("c", 2),
    ]
    write(labels(line, ("d", 2), ("e", 3)), LABELS, branch)

    assert [row["event_id"] for row in rows_of(line)] == ["a", "d", "e"]
    assert rows_of(line)[0] == first[0]
    assert utc(first[0]["known_at"]) == datetime(2024, 5, 9, 12, 30, 15, 123456, tzinfo=UTC)
    assert folders(line, LABELS) == [f"event_date=2024-05-0{day}" for day in (1, 2, 3)]


def test_rows_of_a_date_from_many_tasks_are_one_file(line: "Line", branch: str) -> None:
    from lake.frames import write

    given = labels(line, *((f"{day}_{number}", day) for number in range(50) for day in (1, 2, 3)))
    write(given.repartition(7), LABELS, branch)

    assert folders(line, LABELS) == [f"event_date=2024-05-0{day}" for day in (1, 2, 3)]
    assert len(rows_of(line)) == 150


def test_a_date_to_replace_that_has_no_rows_is_empty_then(line: "Line", branch: str) -> None:
    from lake.frames import write

    write(labels(line, ("a", 1), ("b", 2), ("c", 3), ("d", 5)), LABELS, branch)

    write(labels(line, ("e", 2)), LABELS, branch, [MAY[1], MAY[2], MAY[4]])
    assert [row["event_id"] for row in rows_of(line)] == ["c", "d", "e"]

    write(labels(line, ("e", 2)).limit(0), LABELS, branch, [MAY[2], MAY[3]])
    assert [row["event_id"] for row in rows_of(line)] == ["d"]


def test_a_file_tells_which_deliveries_it_holds(line: "Line", branch: str) -> None:
    from pyspark.sql import functions as F

    from lake.catalog import open_catalog
    from lake.frames import write

    rows = labels(line, ("a", 1), ("b", 3))
    write(rows.withColumn("event_date", F.lit(date(2024, 5, 1))), LABELS, branch)

    table = open_catalog(line.settings, "reader").load_table(LABELS)
    snapshot = table.snapshot_by_name(branch)
    assert snapshot is not None
    (task,) = table.scan(snapshot_id=snapshot.snapshot_id).plan_files()
    ids = {field.name: field.field_id for field in table.schema().fields}
    assert task.file.record_count == 2
    for name, least, greatest in (
        ("raw_object", b"o1", b"o3"),
        ("source_system", b"sparkov", b"sparkov"),
    ):
        assert task.file.lower_bounds[ids[name]] == least
        assert task.file.upper_bounds[ids[name]] == greatest
    assert ids["event_id"] not in task.file.lower_bounds


def test_a_write_that_fails_leaves_the_branch_as_it_was(line: "Line", branch: str) -> None:
    from lake.frames import write

    write(labels(line, ("a", 1)), LABELS, branch)

    with pytest.raises(Exception, match=r"NOT_NULL_ASSERT_VIOLATION(?s:.*)event_id"):
        write(labels(line, ("b", 2), (None, 1)), LABELS, branch, [MAY[1], MAY[2]])

    assert [row["event_id"] for row in rows_of(line)] == ["a"]


def test_rows_without_a_declared_column_are_refused(line: "Line", branch: str) -> None:
    from lake.frames import FrameError, write

    lacking = labels(line, ("a", 1)).drop("known_at", "scenario")

    with pytest.raises(FrameError, match=r"processed.labels lacks scenario, known_at"):
        write(lacking, LABELS, branch)


def test_a_note_is_that_of_the_newest_write_that_has_one(line: "Line", branch: str) -> None:
    from lake.frames import note_of, write

    assert note_of(line.spark, LABELS, branch) is None
    write(labels(line, ("a", 1)), LABELS, branch, note='{"made of": "Raw, A-Z"}')
    write(labels(line, ("b", 2)), LABELS, branch)

    assert note_of(line.spark, LABELS, branch) == '{"made of": "Raw, A-Z"}'


def test_branches_written_at_once_each_get_their_rows(line: "Line", branch: str) -> None:
    from contracts.tables import zone
    from lake.branches import drop_branch, open_branch
    from lake.frames import read, write

    branches = [f"{branch}_{number}" for number in range(4)]
    for name in branches:
        open_branch(line.spark, zone("processed"), name)

    def fill(name: str) -> None:
        write(labels(line, (name, 1)), LABELS, name, [MAY[1]])

    with ThreadPoolExecutor(len(branches)) as pool:
        list(pool.map(fill, branches))

    for name in branches:
        assert [row["event_id"] for row in read(line.spark, LABELS, name).collect()] == [name]
        drop_branch(line.spark, zone("processed"), name)


def test_rows_are_merged_by_key_and_only_those_that_differ_are_written(
    line: "Line", branch: str
) -> None:
    from contracts.render.to_spark import dtypes
    from lake.catalog import open_catalog
    from lake.frames import merge, read

    declared = TABLES["processed.merchants"]
    columns = ", ".join(f"{name} {kind}" for name, kind in dtypes(declared))
    at = datetime(2024, 5, 1, tzinfo=UTC)

    def given(**categories: str | None) -> Any:
        rows = [(name, "s", "merchant", known, at, at) for name, known in categories.items()]
        return line.spark.createDataFrame(rows, columns)

    def added() -> tuple[int, int]:
        tables = open_catalog(line.settings, "reader").load_table(declared.name)
        snapshot = tables.snapshot_by_name(branch)
        assert snapshot is not None
        assert snapshot.summary is not None
        names = ("added-records", "added-position-deletes")
        rows, deletes = (int(snapshot.summary[name] or 0) for name in names)
        return rows, deletes

    merge(given(a="x", b=None, c="x"), declared.name, branch)
    assert added() == (3, 0)
    merge(given(a="x", b="y", c=None, d=None), declared.name, branch)
    assert added() == (3, 2), "b and c differ, and d is new"
    merge(given(a="x", d=None), declared.name, branch)
    assert added() == (0, 0)

    rows = read(line.spark, declared.name, branch).collect()
    assert {row["counterparty_id"]: row["merchant_category"] for row in rows} == {
        **{"a": "x", "b": "y", "c": None, "d": None}
    }
    table = open_catalog(line.settings, "reader").load_table(declared.name)
    snapshot = table.snapshot_by_name(branch)
    assert snapshot is not None
    assert table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().num_rows == 4
