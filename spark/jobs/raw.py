"""Read landed objects by their declared version, as canonical columns."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from typing import Any, Final

from pyspark import cloudpickle
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from sources import text
from sources.declaration import Source, Version
from sources.manifest import Manifest, RawObject
from spark.transforms.adapt import adapt

_DDL: Final = {
    "string": "string",
    "double": "double",
    "long": "bigint",
    "timestamp": "timestamp_ntz",
    "instant": "timestamp",
}
_TEXT_SUFFIXES: Final = ("csv", "jsonl", "json")

# The workers need no copy of our packages: the code that reads text travels with the job.
cloudpickle.register_pickle_by_value(text)


class RawUnfitError(ValueError):
    """Raised when a landed object cannot be processed; landing a sound delivery heals it."""


def read_raw(
    spark: SparkSession, source: Source, manifests: Sequence[Manifest], bucket: str
) -> DataFrame:
    """Return the mapped rows of the manifests' objects (`read_objects`).

    Raises:
        RawUnfitError: when gate raw would have refused an object.
    """
    objects = {held.key: held for manifest in manifests for held in manifest.objects}
    unfit = [problem for manifest in manifests for problem in manifest.problems]
    if unfit or not objects:
        more = f" and {len(unfit) - 3} more" if len(unfit) > 3 else ""
        raise RawUnfitError(
            f"Raw of {source.name} cannot be processed: "
            f"{'; '.join(unfit[:3]) or 'the manifest lists no object'}{more}."
        )
    return read_objects(spark, source, tuple(objects.values()), f"s3a://{bucket}/")


def read_objects(
    spark: SparkSession, source: Source, objects: Sequence[RawObject], root: str
) -> DataFrame:
    """Return the mapped rows of objects whose keys lie under `root`, and where each comes from.

    No schema is inferred: Parquet is read by the types that its manifest recorded, one read per
    version and set of types, text a file a task. Each row is mapped by the version of its object
    (`spark.transforms.adapt`) and keeps raw_object, raw_position (its number in its object) and
    ingested_at; `is_readable` is false for a row of text that was cut or damaged.

    Raises:
        RawUnfitError: when the version of an object is not declared.
    """
    versions = {one.number: one for one in source.versions}
    layouts: dict[tuple[int, str, str], list[str]] = defaultdict(list)
    for held in objects:
        version = _version(source, held)
        kind = held.key.rpartition(".")[2]
        ddl = "" if kind in _TEXT_SUFFIXES else _ddl(version, held)
        layouts[version.number, kind, ddl].append(f"{root}{held.key}")
    landed = spark.createDataFrame(
        [(held.key, held.landed_at) for held in objects],
        "raw_object string, ingested_at timestamp",
    )
    # Readers write the root of a local file in one way and in another.
    below = re.escape(root.partition(":")[2].lstrip("/"))
    key = F.regexp_extract("_metadata.file_path", rf"^\w+:/+{below}(.*)$", 1)
    frames = []
    for (number, kind, ddl), paths in layouts.items():
        version = versions[number]
        rows = (
            _text_rows(spark, source, version, kind, paths, key)
            if kind in _TEXT_SUFFIXES
            else _parquet_rows(spark, version, ddl, paths, key)
        )
        frames.append(
            adapt(rows.join(F.broadcast(landed), on="raw_object", how="left"), source, version)
        )
    return reduce(lambda left, right: left.unionByName(right), frames)


def _version(source: Source, held: RawObject) -> Version:
    version = source.version(held.schema_version)
    if version is None:
        raise RawUnfitError(
            f"Raw of {source.name} cannot be processed: {held.name} has the layout of version"
            f" {held.schema_version}, which is not declared."
        )
    return version


def _ddl(version: Version, held: RawObject) -> str:
    columns = held.columns or {}
    return ", ".join(
        f"`{column.name}` {_DDL[columns[column.name]] if column.name in columns else 'string'}"
        for column in version.layout
    )


def _parquet_rows(
    spark: SparkSession, version: Version, ddl: str, paths: list[str], key: Column
) -> DataFrame:
    """Return rows with the file's own types; a column that a file has not is null."""
    return (
        spark.read.schema(ddl)
        .parquet(*paths)
        .select(
            *(F.col(f"`{column.name}`") for column in version.layout),
            key.alias("raw_object"),
            F.col("_metadata.row_index").alias("raw_position"),
            F.lit(True).alias("is_readable"),
        )
    )


def _text_rows(
    spark: SparkSession,
    source: Source,
    version: Version,
    kind: str,
    paths: list[str],
    key: Column,
) -> DataFrame:
    """Return rows of text files, each value as it is written.

    Spark's own readers of text tell no row's position and drop what they cannot read. So a task
    takes a whole file (at most 2 GiB) and reads it with the code that counted it when it landed.
    """
    names = [column.name for column in version.layout]
    ddl = ", ".join(
        (
            "raw_position bigint",
            "is_readable boolean",
            *(f"`{name}` string" for name in names),
            "raw_object string",
        )
    )
    whole = spark.read.format("binaryFile").load(paths)
    files = whole.select(key.alias("raw_object"), "content")
    return files.mapInArrow(_parser(kind, names, source.delimiter), ddl)


def _parser(
    kind: str, names: list[str], delimiter: str
) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """Return what a worker does with Arrow batches of whole files."""

    def parse(batches: Iterable[Any]) -> Iterator[Any]:
        from io import BytesIO

        import pyarrow as pa

        for batch in batches:
            for key, content in zip(batch["raw_object"], batch["content"], strict=True):
                body = BytesIO(memoryview(content.as_buffer()))
                for rows in text.batches(body, kind, names, delimiter):
                    keys = pa.repeat(key, rows.num_rows)
                    yield pa.RecordBatch.from_arrays(
                        [*rows.columns, keys], names=[*rows.schema.names, "raw_object"]
                    )

    return parse
