"""Rows of the Sparkov layout as the reader and the validation hand them on."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sources.sparkov import SPARKOV

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LANDED = datetime(2019, 1, 6, 3, tzinfo=UTC)
V1 = SPARKOV.versions[0]


def raw(spark: "SparkSession", rows: list[dict[str, Any]]) -> "DataFrame":
    """Return file rows as the reader gives them: text, and where they come from."""
    ddl = ", ".join(f"{column.name} string" for column in V1.layout)
    values = [
        (
            *(None if r[c.name] is None else str(r[c.name]) for c in V1.layout),
            "sparkov/transactions/d/o.parquet",
            position,
            LANDED,
            True,
        )
        for position, r in enumerate(rows)
    ]
    return spark.createDataFrame(
        values,
        f"{ddl}, raw_object string, raw_position bigint, ingested_at timestamp,"
        " is_readable boolean",
    )


def validated(spark: "SparkSession", rows: list[dict[str, Any]]) -> "DataFrame":
    from spark.transforms.adapt import adapt
    from spark.transforms.validate import validate

    return validate(adapt(raw(spark, rows), SPARKOV, V1), SPARKOV)
