"""Read landed objects by their declared version, as canonical columns."""

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import reduce
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from sources.declaration import Source, Version
from sources.manifest import Manifest, RawObject
from sources.parquet_types import parquet_type
from spark.jobs.raw_text import rows_of_files, rows_of_lines
from spark.transforms.adapt import adapt

_TEXT_SUFFIXES: Final = ("csv", "jsonl", "json")
_WHOLE_BYTES: Final = 4 * 2**20
"""Spark does not split a file up to this size (`spark.sql.files.openCostInBytes`)."""


class RawUnfitError(ValueError):
    """Raised when a landed object cannot be processed; landing a sound delivery heals it."""


def read_raw(
    spark: SparkSession, source: Source, manifests: Sequence[Manifest], bucket: str
) -> DataFrame:
    """Return the mapped rows of the manifests' objects (`read_objects`).

    Raises:
        RawUnfitError: when gate raw would have refused an object.
    """
    objects = {item.key: item for manifest in manifests for item in manifest.objects if item.rows}
    unfit = [problem for manifest in manifests for problem in manifest.problems]
    if unfit or not objects:
        more = f" and {len(unfit) - 3} more" if len(unfit) > 3 else ""
        raise RawUnfitError(
            f"Raw of {source.name} cannot be processed: "
            f"{'; '.join(unfit[:3]) or 'the manifest lists no row'}{more}."
        )
    return read_objects(spark, source, tuple(objects.values()), f"s3a://{bucket}/")


def read_objects(
    spark: SparkSession, source: Source, objects: Sequence[RawObject], root: str
) -> DataFrame:
    """Return the mapped rows of objects whose keys lie under `root`, and where each comes from.

    No schema is inferred: Parquet is read by the types that its manifest recorded, one read per
    version and set of types; text by lines, or a file a task (`_is_read_by_lines`). Each row is
    mapped by the version of its object (`spark.transforms.adapt`) and keeps raw_object,
    raw_position (its number in its object) and ingested_at; `is_readable` is false for a row of
    text that was cut or damaged.

    Raises:
        RawUnfitError: when the version of an object is not declared.
    """
    versions = {one.number: one for one in source.versions}
    layouts: dict[tuple[int, str, tuple[str, ...], bool], list[RawObject]] = defaultdict(list)
    for item in objects:
        version = _version(source, item)
        kind = item.key.rpartition(".")[2]
        types = () if kind in _TEXT_SUFFIXES else _types(version, item)
        by_lines = _is_read_by_lines(source, kind, item)
        layouts[version.number, kind, types, by_lines].append(item)
    landed = spark.createDataFrame(
        [(item.key, item.landed_at) for item in objects],
        "raw_object string, ingested_at timestamp",
    )
    key = key_below(root)
    frames = []
    for (number, kind, types, by_lines), group in layouts.items():
        version = versions[number]
        paths = [f"{root}{item.key}" for item in group]
        if by_lines:
            rows = rows_of_lines(spark, source, version, kind, group, paths, key)
        elif kind in _TEXT_SUFFIXES:
            rows = rows_of_files(spark, source, version, kind, paths, key)
        else:
            rows = _parquet_rows(spark, version, types, paths, key)
        frames.append(
            adapt(rows.join(F.broadcast(landed), on="raw_object", how="left"), source, version)
        )
    return reduce(lambda left, right: left.unionByName(right), frames)


def key_below(root: str) -> Column:
    """Return the key of the object that a row was read from, below the root of all objects."""
    # Readers write the root of a local file in one way and in another.
    below = re.escape(root.partition(":")[2].lstrip("/"))
    return F.regexp_extract("_metadata.file_path", rf"^\w+:/+{below}(.*)$", 1)


def _is_read_by_lines(source: Source, kind: str, item: RawObject) -> bool:
    """Tell whether several tasks may read a text file, each a block of its lines.

    Not where a row may span lines; and a file that Spark would not split needs no count of the
    lines of its blocks.
    """
    is_text = kind in _TEXT_SUFFIXES
    return is_text and not source.reads_whole(kind) and item.bytes > _WHOLE_BYTES


def _version(source: Source, item: RawObject) -> Version:
    version = source.version(item.schema_version)
    if version is None:
        raise RawUnfitError(
            f"Raw of {source.name} cannot be processed: {item.name} has the layout of version"
            f" {item.schema_version}, which is not declared."
        )
    return version


def _types(version: Version, item: RawObject) -> tuple[str, ...]:
    """Return the type of each column of the layout in an object; one that it has not is text."""
    columns = item.columns or {}
    return tuple(columns.get(column.name, "string") for column in version.layout)


def _parquet_rows(
    spark: SparkSession, version: Version, types: Sequence[str], paths: list[str], key: Column
) -> DataFrame:
    """Return rows with the file's own types; a column that a file has not is null.

    Raises:
        RawUnfitError: when no mapping reads the type of a column.
    """
    fields, values = [], []
    for column, name in zip(version.layout, types, strict=True):
        known = parquet_type(name)
        if known is None:
            raise RawUnfitError(f"the column {column.name} is {name}, which no mapping reads.")
        quoted = f"`{column.name}`"
        fields.append(f"{quoted} {known.ddl}")
        values.append(F.expr(known.convert.format(quoted)).alias(column.name))
    return (
        spark.read.schema(", ".join(fields))
        .parquet(*paths)
        .select(
            *values,
            key.alias("raw_object"),
            F.col("_metadata.row_index").alias("raw_position"),
            F.lit(True).alias("is_readable"),
        )
    )
