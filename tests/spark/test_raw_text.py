"""A text file that several tasks read gives the rows and positions of one that is read whole."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from sources import text
from sources.declaration import FileColumn, Source, Version
from sources.inspect import inspect
from sources.manifest import RawObject
from sources.mapping_file import read
from sources.text import CsvForm

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

pytestmark = pytest.mark.spark

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/examples/corner_shop.yaml"
SHOP = read(EXAMPLE)
HEADER = b"receipt;paid;loyalty_card;shelf;total;currency;means\n"
LAYOUT = ("id", "name", "amount")
VERSION = Version(1, "Three columns.", tuple(FileColumn(name) for name in LAYOUT), {})
SPLIT_BYTES = "spark.sql.files.maxPartitionBytes"
PIECES = [
    *(b"\n", b"\r\n", b"\r", b"\n\n", b" ", b",", b'"', b"\x00", b"\xff", b"\xc3"),
    *(b"1,ann,2.50\n", b"2,bob,\n", b'{"id": 7}\n', b"\xef\xbb\xbf", b"longer than a block is"),
]
COMMAS = replace(SHOP, csv=CsvForm(","))


@pytest.fixture
def blocks_of(spark: "SparkSession") -> Iterator["SparkSession"]:
    """Let Spark split files into blocks of 32 bytes."""
    default = spark.conf.get(SPLIT_BYTES)
    spark.conf.set(SPLIT_BYTES, "32")
    yield spark
    spark.conf.set(SPLIT_BYTES, str(default))


def landed(path: Path, source: Source = SHOP) -> RawObject:
    """Describe a file as its manifest would."""
    found = inspect(path, source)
    return RawObject(
        key=path.name,
        name=path.name,
        bytes=found.bytes,
        sha256=found.sha256,
        landed_at=datetime(2026, 1, 1, tzinfo=UTC),
        schema_version=found.version,
        rows=found.rows,
        columns=found.columns,
        problem=found.problem,
    )


def file_name() -> "Column":
    from pyspark.sql import functions as F

    return F.col("_metadata.file_name")


BODIES = [
    *(b"", b"\n", b"1", b"1,ann,\n", b"1,ann,", b"\n\n\n1,ann,2\n\n\n", b"1,a,2\nx\n"),
    *(mark * 2 + b'{"id": 1}\n' for mark in (b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n")),
]
"""Ends and starts of files that differ by what a block does not show."""


def test_blocks_give_the_rows_of_the_whole_file_whatever_its_bytes(
    blocks_of: "SparkSession", tmp_path: Path
) -> None:
    """Each body as CSV after a header, with and without a byte order mark, and as JSON lines.

    Slow: Spark reads some 50 files in blocks of 32 bytes, twice.
    """
    from spark.jobs.raw_text import rows_of_lines

    random = Random(15)
    bodies = [b"".join(random.choices(PIECES, k=25)) for _ in range(8)]
    csv_starts = (b"id,name,amount\n", b"\xef\xbb\xbfid,amount\r\n")
    for kind, starts in (("csv", csv_starts), ("jsonl", (b"",))):
        expected, objects = [], []
        for number, (start, body) in enumerate(product(starts, [*BODIES, *bodies])):
            path = tmp_path / f"{number}.{kind}"
            path.write_bytes(start + body)
            rows = text.rows(io.BytesIO(start + body), kind, LAYOUT)
            expected += [(path.name, one.position, one.is_readable, *one.values) for one in rows]
            header = text.columns(io.BytesIO(start), kind) if start else ()
            columns = dict.fromkeys(header, "string")
            objects.append(replace(landed(path), columns=columns, problem=None))
        paths = [f"file://{tmp_path}/{one.key}" for one in objects]
        frame = rows_of_lines(blocks_of, COMMAS, VERSION, kind, objects, paths, file_name())
        read_rows = frame.select("raw_object", "raw_position", "is_readable", *LAYOUT).collect()
        assert sorted(map(tuple, read_rows), key=repr) == sorted(expected, key=repr)


def read_back(spark: "SparkSession", source: Source, one: RawObject, folder: Path) -> "DataFrame":
    from spark.jobs.raw import read_objects

    return read_objects(spark, source, [one], f"file://{folder}/")


def test_several_tasks_read_a_large_file_and_one_reads_a_small_one(
    spark: "SparkSession", tmp_path: Path
) -> None:
    """Large is what Spark splits on two cores: more than 4 MiB."""
    from pyspark.sql import functions as F

    from spark.jobs.raw import _WHOLE_BYTES

    lines = [b"%d;01.03.2024 08:00:00;c%d;Obst;2.50;EUR;EC\n" % (n, n % 50) for n in range(999)]
    lines[500] = b"500;cut\n\n"
    whole = HEADER + b"".join(lines)
    times = _WHOLE_BYTES // len(whole) + 3
    for name, body, least in (("small", whole, 1), ("large", HEADER + b"".join(lines) * times, 2)):
        path = tmp_path / f"{name}.csv"
        path.write_bytes(body)
        one = landed(path)
        assert one.problem is None
        rows = read_back(spark, SHOP, one, tmp_path)

        rows = rows.select("raw_position", "is_readable", F.spark_partition_id().alias("task"))
        tasks, found, positions, last = rows.agg(
            F.count_distinct("task"),
            F.count(F.lit(1)),
            F.count_distinct("raw_position"),
            F.max("raw_position"),
        ).collect()[0]
        assert (tasks >= least, tasks == 1) == (True, least == 1)
        assert found == positions == one.rows
        assert last == body.count(b"\n") - 2
        refused = rows.filter("NOT is_readable").select("raw_position").collect()
        assert sorted(row[0] for row in refused) == list(range(500, last, 1000))


def test_lines_before_the_header_are_skipped_in_whichever_block_they_are(
    blocks_of: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spark.jobs import raw

    monkeypatch.setattr(raw, "_WHOLE_BYTES", 0)
    path = tmp_path / "2024-03-01.csv"
    lines = b"".join(b"%d;01.03.2024 08:00:00;c1;M\xf6bel;2.50;EUR;EC\n" % n for n in range(5))
    path.write_bytes(b"A title longer than a block of bytes is\n\n" * 2 + HEADER + lines)
    source = replace(SHOP, csv=CsvForm(";", False, 4, "iso-8859-1"))

    one = landed(path, source)
    rows = read_back(blocks_of, source, one, tmp_path).orderBy("raw_position").collect()
    assert one.rows == 5
    assert [(row["raw_position"], row["event_id"], row["merchant_category"]) for row in rows] == [
        (n, str(n), "möbel") for n in range(5)
    ]


def test_quoted_line_breaks_are_read_where_declared_as_landing_counted_them(
    blocks_of: "SparkSession", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spark.jobs import raw

    monkeypatch.setattr(raw, "_WHOLE_BYTES", 0)
    path = tmp_path / "2024-03-01.csv"
    row = ';01.03.2024 08:00:00;c1;"Obst\r\n\n& ""mehr""";2.50;EUR;EC\n'
    path.write_text(
        HEADER.decode() + "".join(f"{n}{row}" for n in range(3)) + '3;01.03.2024 08:00:00;"c\ncut',
        newline="",
    )
    spans = replace(SHOP, csv=CsvForm(";", True))
    found = {}
    for source in (spans, SHOP):
        one = landed(path, source)
        rows = read_back(blocks_of, source, one, tmp_path).orderBy("raw_position").collect()
        assert len(rows) == one.rows
        found[source.csv.quoted_line_breaks] = [
            (row["raw_position"], row["is_readable"], row["event_id"], row["merchant_category"])
            for row in rows
        ]

    assert found[True] == [
        *((n, True, str(n), 'obst\r\n\n& "mehr"') for n in range(3)),
        (3, False, None, None),
        (4, False, None, None),
    ]
    assert [row[:2] for row in found[False]] == [
        (position, False) for position in (0, 2, 3, 5, 6, 8, 9, 10)
    ]
