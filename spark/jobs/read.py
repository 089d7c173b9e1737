"""Read what a run wrote, for gates and for people."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame, SparkSession

from contracts.stage_results import PrepareResult, ProcessResult
from contracts.tables import TABLES
from lake.dates import rows_on, touched_dates
from spark.tables import read


def audit_frame(
    spark: SparkSession,
    result: ProcessResult | PrepareResult,
    table: str,
    dates: Sequence[date] | None = None,
) -> DataFrame:
    """Return a table at the snapshot that `result` names, audited or published.

    Only the rows on `dates` are read, by default on those that the run wrote.
    """
    declared = TABLES[table]
    days = touched_dates(result, declared) if dates is None else dates
    return read(spark, table, result.snapshots[table]).filter(rows_on(declared, days))
