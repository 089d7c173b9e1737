"""One-shot jobs that initialise a new service: ``python -m embedded.bootstrap <service>``."""

from __future__ import annotations

import sys

from contracts.settings import get_settings


def spark() -> None:
    """Create the namespaces of the lake, and run a query to warm the server."""
    from pyspark.sql import SparkSession

    remote = get_settings().spark.remote
    if remote is None:
        raise RuntimeError("no Spark remote is configured")
    session = SparkSession.builder.remote(remote.get_secret_value()).getOrCreate()
    for namespace in ("processed", "sandbox"):
        session.sql(f"CREATE NAMESPACE IF NOT EXISTS lake.{namespace}").collect()
    session.sql("SELECT count(*) FROM range(1000) GROUP BY id % 7").collect()
    session.stop()


def s3() -> None:
    """Create users, buckets and policies."""
    from embedded.services.s3 import create

    create(get_settings())


def kafka() -> None:
    """Create users, their grants, and topics."""
    from embedded.services.kafka import create

    create(get_settings())


if __name__ == "__main__":
    {"spark": spark, "s3": s3, "kafka": kafka}[sys.argv[1]]()
