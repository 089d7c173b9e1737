"""The Spark session of a task, and publication of an audit branch of the lake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from contracts.settings import get_settings
from tollgate_airflow import handover
from tollgate_airflow.runs import Run
from tollgate_airflow.task_metrics import with_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lake.publish import Audited


@contextmanager
def session() -> Iterator[SparkSession]:
    """Open a session of the configured Spark for one task, and release it afterwards."""
    from spark.session import outage_explained
    from spark.session import session as open_session

    settings = get_settings()
    with outage_explained(), with_spark(settings):
        spark = open_session(settings)
        try:
            yield spark
        finally:
            spark.stop()


def publish(run: Run, audited: Audited) -> None:
    """Fast-forward `main` to the audit branch and record the published snapshots."""
    from lake.publish import publish as fast_forward

    with session() as spark:
        handover.record(run, fast_forward(spark, audited))


def discard(spark: SparkSession, audited: Audited) -> None:
    """Drop the audit branch of a run whose gate closed."""
    from lake.publish import discard as drop

    drop(spark, audited)
