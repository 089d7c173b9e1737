"""Read what a run wrote, for gates and for people."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, SparkSession

from contracts.stage_results import StageResult
from contracts.tables import TABLES
from lake.dates import date_ranges
from spark.tables import read, within


def audit_frame(
    spark: SparkSession,
    result: StageResult,
    table: str,
    dates: Sequence[date] | None = None,
) -> DataFrame:
    """Return a table at the snapshot that `result` names, audited or published.

    Of a partitioned table only `dates` are read, by default those that the run wrote.
    """
    frame = read(spark, table, result.snapshots[table])
    partition = TABLES[table].partition_by
    if partition is None:
        return frame
    return frame.filter(within(partition, date_ranges(result.dates if dates is None else dates)))
