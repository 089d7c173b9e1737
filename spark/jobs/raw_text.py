"""Read text of Raw in Spark's Python workers, by the code that counted it at landing.

Spark's readers of CSV and JSON give no position of a row and drop what they cannot read.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from pyspark import cloudpickle
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from sources import text
from sources.declaration import Source, Version
from sources.manifest import RawObject

# The workers need no copy of the packages: the module that reads text is sent with the job.
cloudpickle.register_pickle_by_value(text)

_ObjectRows = Iterator[tuple[str, Iterator[text.Row]]]
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def rows_of_files(
    spark: SparkSession,
    source: Source,
    version: Version,
    kind: str,
    paths: list[str],
    key: Column,
) -> DataFrame:
    """Return the rows of text files, each value as it is written; a task takes a whole file."""
    names, form = _names(version), source.csv

    def read(batches: Iterable[Any]) -> _ObjectRows:
        from io import BytesIO

        for batch in batches:
            for file, content in zip(batch["raw_object"], batch["content"], strict=True):
                body = BytesIO(memoryview(content.as_buffer()))
                yield file.as_py(), text.rows(body, kind, names, form)

    files = spark.read.format("binaryFile").load(paths)
    return files.select(key.alias("raw_object"), "content").mapInArrow(
        _in_arrow(read, names), _ddl(names)
    )


def rows_of_lines(
    spark: SparkSession,
    source: Source,
    version: Version,
    kind: str,
    objects: Sequence[RawObject],
    paths: list[str],
    key: Column,
) -> DataFrame:
    """Return the rows of text files, each value as it is written; a task takes a block of lines.

    Spark splits the files and keeps the bytes of each line, valid UTF-8 or not. A first job counts
    the lines of each block, from which the position of a row in its file follows.
    """
    names, form = _names(version), source.csv
    lines = (
        spark.read.option("lineSep", "\n")
        .text(paths)
        .select(
            key.alias("raw_object"),
            F.col("_metadata.file_block_start").alias("block"),
            F.col("value").cast("binary").alias("line"),
        )
    )
    lines_before, last_unended, marked = _count(lines, objects)
    headers = {item.key: tuple(item.columns or ()) for item in objects} if kind == "csv" else {}
    before_rows = form.skip_lines + 1 if kind == "csv" else 0

    def read(batches: Iterable[Any]) -> _ObjectRows:
        next_line = dict(lines_before)
        for batch in batches:
            rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            for (file, block), run in groupby(rows, itemgetter(0, 1)):
                first = next_line[file, block]
                body = [line + b"\n" for _, _, line in run]
                next_line[file, block] += len(body)
                if first == 0 and file in marked:
                    body[0] = _BYTE_ORDER_MARK + body[0]
                if last_unended.get(file) == first + len(body) - 1:
                    body[-1] = body[-1][:-1]
                skipped = max(before_rows - first, 0)
                numbered = enumerate(body[skipped:], first + skipped - before_rows)
                yield file, text.line_rows(numbered, kind, names, form, headers.get(file, ()))

    return lines.mapInArrow(_in_arrow(read, names), _ddl(names))


def rows_of_messages(messages: DataFrame, version: Version) -> DataFrame:
    """Return the rows of messages of Kafka, each a JSON object, with their `ingested_at`.

    `raw_object` is the partition of a message, `raw_position` its offset.
    """
    names = _names(version)

    def read(batches: Iterable[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for batch in batches:
            _, offsets, times, values = batch.columns
            lines = zip(offsets.to_pylist(), values.to_pylist(), strict=True)
            (rows,) = text.batches(text.line_rows(lines, "jsonl", names), names)
            yield pa.RecordBatch.from_arrays(
                [*rows.columns, batch["partition"], times],
                names=[*rows.schema.names, "raw_object", "ingested_at"],
            )

    return messages.select(
        F.col("partition").cast("string"), "offset", "timestamp", "value"
    ).mapInArrow(read, f"{_ddl(names)}, ingested_at timestamp")


def _count(
    lines: DataFrame, objects: Sequence[RawObject]
) -> tuple[dict[tuple[str, int], int], dict[str, int], set[str]]:
    """Count the lines of each block, and return what a task cannot know from its block.

    Returns: the number of lines of the file before each block; the number of the last line of each
    file that ends without a line end; the files with a byte order mark, which Spark drops.
    """
    blocks = (
        lines.groupBy("raw_object", "block")
        .agg(
            F.count(F.lit(1)).alias("lines"),
            F.sum(F.octet_length("line") + F.lit(1)).alias("bytes"),
        )
        .orderBy("raw_object", "block")
        .collect()
    )
    line_count, byte_count = Counter[str](), Counter[str]()
    lines_before = {}
    for one in blocks:
        file = one["raw_object"]
        lines_before[file, one["block"]] = line_count[file]
        line_count[file] += one["lines"]
        byte_count[file] += one["bytes"]
    # A line is counted with its line end here, and without the three bytes of a mark.
    missing = {item.key: item.bytes - byte_count[item.key] for item in objects}
    last_unended = {file: line_count[file] - 1 for file, size in missing.items() if size in (-1, 2)}
    return lines_before, last_unended, {file for file, size in missing.items() if size > 0}


def _names(version: Version) -> list[str]:
    return [column.name for column in version.layout]


def _ddl(names: Sequence[str]) -> str:
    values = (f"`{name}` string" for name in names)
    return ", ".join(("raw_position bigint", "is_readable boolean", *values, "raw_object string"))


def _in_arrow(
    read: Callable[[Iterable[Any]], _ObjectRows], names: Sequence[str]
) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """Return what a worker does: read rows of objects, and return them as Arrow batches."""

    def parse(batches: Iterable[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for file, rows in read(batches):
            for packed in text.batches(rows, names):
                files = pa.repeat(pa.scalar(file, pa.string()), packed.num_rows)
                yield pa.RecordBatch.from_arrays(
                    [*packed.columns, files], names=[*packed.schema.names, "raw_object"]
                )

    return parse
