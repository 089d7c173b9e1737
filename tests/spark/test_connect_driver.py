"""One daemon forks the Python workers of all sessions, and a stranger gets no session at all."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from contracts.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.stack]


def _parents(batches: Iterator[Any]) -> Iterator[Any]:
    import os

    import pyarrow as pa

    for _ in batches:
        yield pa.RecordBatch.from_pylist([{"pid": os.getppid()}])


def _daemons(spark: "SparkSession") -> set[int]:
    return {row["pid"] for row in spark.range(8).mapInArrow(_parents, "pid long").collect()}


def test_sessions_share_the_daemon_of_their_workers(
    spark: "SparkSession", spark_settings: Settings
) -> None:
    from pyspark.sql import SparkSession

    assert spark_settings.spark.remote is not None
    other = SparkSession.builder.remote(spark_settings.spark.remote.get_secret_value()).create()
    try:
        assert other.session_id != spark.session_id
        assert len(_daemons(spark) | _daemons(other)) == 1
    finally:
        other.stop()


def test_a_session_needs_the_token(spark_settings: Settings) -> None:
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    port = spark_settings.port("spark")
    stranger = SparkSession.builder.remote(f"sc://localhost:{port}/;token=guessed").create()
    try:
        with pytest.raises(PySparkException, match="UNAUTHENTICATED"):
            stranger.range(1).collect()
    finally:
        # Left open, it would look for the server until long after the tests have ended.
        stranger.stop()
