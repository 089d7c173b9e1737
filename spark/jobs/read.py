"""Read what a run wrote, for gates and for people."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, SparkSession

from contracts.stage_results import PrepareResult, ProcessResult
from contracts.tables import TABLES
from lake.dates import date_ranges, touched_dates
from spark.tables import read, within


def audit_frame(
    spark: SparkSession,
    result: ProcessResult | PrepareResult,
    table: str,
    dates: Sequence[date] | None = None,
) -> DataFrame:
    """Return a table at the snapshot that `result` names, audited or published.

    Of a partitioned table only `dates` are read, by default those that the run wrote.
    """
    declared = TABLES[table]
    frame = read(spark, table, result.snapshots[table])
    if declared.partition_by is None:
        return frame
    days = touched_dates(result, declared) if dates is None else dates
    return frame.filter(within(declared.partition_by, date_ranges(days)))
