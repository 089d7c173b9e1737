"""A Spark session in this process, without any part of the platform: for a look at a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from embedded.places import java_environment, python

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def session() -> SparkSession:
    """Return a classic session on one core that reads local files; it takes 5 to 20 s to start."""
    os.environ.update({**java_environment(), "PYSPARK_PYTHON": python()})
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    # What a process that talks to a Spark server leaves to its children.
    for name in ("SPARK_CONNECT_MODE_ENABLED", "SPARK_REMOTE", "SPARK_API_MODE"):
        os.environ.pop(name, None)
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[1]")
        .appName("tollgate-dry-run")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark
