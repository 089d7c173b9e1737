"""Read landed objects with their declared columns."""

from collections import defaultdict
from collections.abc import Sequence
from functools import reduce
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sources.declaration import Source
from sources.manifest import Manifest, RawObject

_DDL: Final = {
    "string": "string",
    "double": "double",
    "long": "bigint",
    "timestamp": "timestamp_ntz",
}


class RawUnfitError(ValueError):
    """Raised when a landed object cannot be processed; landing a sound delivery heals it."""


def read_raw(
    spark: SparkSession, source: Source, manifests: Sequence[Manifest], bucket: str
) -> DataFrame:
    """Return the rows of the manifests' objects and where each comes from.

    Adds raw_object, raw_position (the row's number in its object) and ingested_at. No schema is
    inferred: objects are read by the types that their manifest recorded, one read per layout. A
    column that objects hold in different types becomes text.

    Raises:
        RawUnfitError: when gate raw would have refused an object.
    """
    objects = {held.key: held for manifest in manifests for held in manifest.objects}
    unfit = [text for manifest in manifests for text in manifest.problems]
    if unfit or not objects:
        more = f" and {len(unfit) - 3} more" if len(unfit) > 3 else ""
        raise RawUnfitError(
            f"Raw of {source.name} cannot be processed: "
            f"{'; '.join(unfit[:3]) or 'the manifest lists no object'}{more}."
        )
    layouts: dict[str, list[str]] = defaultdict(list)
    for key, held in objects.items():
        layouts[_ddl(source, held)].append(f"s3a://{bucket}/{key}")
    prefix = len(f"s3a://{bucket}/")
    types = defaultdict(set)
    for held in objects.values():
        for column in source.layout:
            types[column.name].add((held.columns or {})[column.name])
    mixed = {name for name, found in types.items() if len(found) > 1}
    frames = [
        spark.read.schema(ddl)
        .parquet(*paths)
        .select(
            *(
                F.col(column.name).cast("string") if column.name in mixed else F.col(column.name)
                for column in source.layout
            ),
            F.col("_metadata.file_path").substr(prefix + 1, 1024).alias("raw_object"),
            F.col("_metadata.row_index").alias("raw_position"),
        )
        for ddl, paths in layouts.items()
    ]
    landed = spark.createDataFrame(
        [(key, held.landed_at) for key, held in objects.items()],
        "raw_object string, ingested_at timestamp",
    )
    rows = reduce(lambda left, right: left.unionByName(right), frames)
    return rows.join(F.broadcast(landed), on="raw_object", how="left")


def _ddl(source: Source, held: RawObject) -> str:
    columns = held.columns or {}
    return ", ".join(f"`{column.name}` {_DDL[columns[column.name]]}" for column in source.layout)
