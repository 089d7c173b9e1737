"""The Spark session of a task, and publishing an audit branch of the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.results import StageResult
from contracts.settings import get_settings
from tollgate_airflow import handover
from tollgate_airflow.runs import Run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def spark() -> SparkSession:
    """Return a session of the configured Spark."""
    from spark.session import session

    return session(get_settings())


def publish(run: Run, audited: StageResult) -> None:
    """Fast-forward `main` to the audit branch and record the published snapshots."""
    from spark.jobs.publish import publish as fast_forward

    handover.record(run, fast_forward(spark(), audited))


def discard(session: SparkSession, audited: StageResult) -> None:
    """Drop the audit branch of a refused run."""
    from spark.jobs.publish import discard as drop

    drop(session, audited)
