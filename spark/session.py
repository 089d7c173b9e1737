"""The session a job works with."""

from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import SparkSession

from contracts.settings import Settings
from spark.conf import lake_conf


def session(settings: Settings, jars: Sequence[Path] = ()) -> SparkSession:
    """Return a session of the configured Connect server, or one in this process without it.

    A classic session needs `jars` on its class path unless spark-submit put them there. It holds
    the lake's keys in its own memory, so it starts only where no other session runs.
    """
    if settings.spark.remote is not None:
        remote = SparkSession.builder.remote(settings.spark.remote.get_secret_value())
        return remote.getOrCreate()
    builder = SparkSession.builder.appName("tollgate").config(map=lake_conf(settings))
    if jars:
        builder = builder.config("spark.driver.extraClassPath", ":".join(map(str, jars)))
    return builder.getOrCreate()
