"""The platform's services, each declared once, in the order in which they need each other."""

from __future__ import annotations

from contracts.settings import Settings
from embedded.services import (
    airflow,
    api,
    kafka,
    mlflow,
    opensearch,
    postgres,
    s3,
    spark,
    spark_cluster,
    stream,
    superset,
)
from embedded.supervisor import Service


def all_services(settings: Settings) -> list[Service]:
    """Return every service of the platform."""
    return [
        postgres.service(settings),
        s3.service(settings),
        spark.service(settings),
        mlflow.service(settings),
        *airflow.services(settings),
        *spark_cluster.services(settings),
        superset.service(settings),
        kafka.service(settings),
        stream.validator(settings),
        opensearch.service(settings),
        stream.indexer(settings),
        stream.scorer(settings),
        stream.updater(settings),
        api.service(settings),
    ]
