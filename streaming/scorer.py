"""The scorer of the stream: ``python -m streaming.scorer --port 15416``.

It runs a query of Spark Structured Streaming that reads `transactions.validated` and writes an
alert to `alerts` for each payment that the rules of fraud or the champion do not approve. A new
process continues at the checkpoint; it repeats a batch that was interrupted.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import Consumer, TopicPartition
from prometheus_client import CollectorRegistry, Counter, Gauge
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from contracts.fraud_rules import FraudRulesError, fraud_rules
from contracts.model_tables import STREAM_ALERT
from contracts.settings import Settings, load_settings
from contracts.topics import ALERTS, VALIDATED
from ml.models import Models, NoModelError
from sources.errors import SourceError
from sources.registry import source
from spark.jobs.stream_features import STATE_CONF, filled_in_stream, stream_payments
from spark.kafka import kafka_login
from spark.session import outage_explained, session
from spark.transforms.features import schema
from streaming.connection import StreamError, check
from streaming.detection import raise_alerts
from streaming.metrics import Lag, serve
from streaming.service import run_service

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import StreamingQuery

    from ml.champion import Champion

VALIDATED_AT: Final = "validated_at"
"""Header of an alert: when its payment was validated, in ISO 8601."""
_INTERVAL: Final = "1 second"
_WATCH_SECONDS: Final = 1.0
_KAFKA_SECONDS: Final = 10.0
_STALE_SECONDS: Final = 120.0
_MODEL_SECONDS: Final = 15.0
"""How long the first query waits for the champion. Later it takes over between two batches."""
_JSON: Final = {
    "ignoreNullFields": "false",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
}


class Scorer:
    """Scores the payments of one source, and counts what it does."""

    def __init__(self, settings: Settings, source_name: str) -> None:
        """Prepare the rules and the metrics.

        Raises:
            StreamError: when Kafka refuses the user or lacks a topic.
            SourceError: when no source has this name, or its mapping file has mistakes.
            FraudRulesError: when the file of rules has mistakes.
        """
        self._settings, self._source, self._rules = settings, source(source_name), fraud_rules()
        check(settings.kafka, "scorer")
        self._models = Models(settings)
        self.registry = CollectorRegistry()
        self._payments = Counter(
            "tollgate_stream_scored", "Messages that were scored.", registry=self.registry
        )
        self._batch = Gauge(
            "tollgate_stream_batch_seconds",
            "Duration of the newest batch of the query.",
            registry=self.registry,
        )
        self._consumer = Consumer({**settings.kafka.login("scorer"), "group.id": "scorer"})
        self._lag: dict[int, int] = {}
        self.registry.register(Lag(self._lag))
        self._model = Gauge(
            "tollgate_stream_model_version",
            "Version of the champion that scores; 0 while only rules do.",
            registry=self.registry,
        )
        self._last_progress: float | None = None

    def problem(self) -> str | None:
        """Return a sentence when Spark reports no progress, as it does every ten seconds."""
        if self._last_progress is None:
            return "The query starts."
        idle = time.monotonic() - self._last_progress
        if idle < _STALE_SECONDS:
            return None
        return f"Spark reports no progress for {idle:.0f} s: see `make logs SERVICE=spark`."

    @property
    def checkpoint(self) -> str:
        """Return the folder in which Spark keeps offsets and state."""
        bucket = self._settings.s3.lake_bucket
        return f"s3a://{bucket}/checkpoints/score_stream/{self._source.name}"

    def run(self, stopping: Event) -> None:
        """Score until `stopping` is set; a new champion takes over between two batches.

        Raises:
            DriverLostError: when Spark's driver was lost; a new process continues.
            StoreUnreachableError: when the object store did not answer Spark, likewise.
            PySparkException: when the query fails.
        """
        self._models.poll(stopping)
        self._models.has_looked.wait(_MODEL_SECONDS)
        with outage_explained():
            spark = session(self._settings)
            for name, value in STATE_CONF.items():
                spark.conf.set(name, value)
            while not stopping.is_set():
                champion = self._champion()
                self._model.set(champion.version if champion else 0)
                query = self._start(spark, champion)
                try:
                    self._watch(query, champion, stopping)
                finally:
                    query.stop()

    def _champion(self) -> Champion | None:
        try:
            return self._models.champion(self._source.name)
        except NoModelError:
            return None

    def _start(self, spark: SparkSession, champion: Champion | None) -> StreamingQuery:
        payments = stream_payments(
            spark, self._settings.kafka, self._source, self._settings.pseudonym_key_file
        )
        step = partial(
            raise_alerts,
            filled=filled_in_stream(self._source),
            rules=self._rules,
            champion=champion,
        )
        alerts = payments.mapInArrow(step, schema((*STREAM_ALERT, "ingested_at")))
        return (
            as_messages(alerts)
            .writeStream.format("kafka")
            .queryName(f"score_stream_{self._source.name}")
            .options(**kafka_login(self._settings.kafka, "scorer"))
            .option("topic", ALERTS.name)
            .option("checkpointLocation", self.checkpoint)
            .trigger(processingTime=_INTERVAL)
            .start()
        )

    def _watch(self, query: StreamingQuery, champion: Champion | None, stopping: Event) -> None:
        """Count the batches until the champion changes or `stopping` is set."""
        newest = None
        while not stopping.wait(_WATCH_SECONDS):
            if error := query.exception():
                raise error
            progress = query.lastProgress
            if progress is not None and progress["timestamp"] != newest:
                newest = progress["timestamp"]
                self._last_progress = time.monotonic()
                self._count(progress)
            self._measure_lag(progress)
            if self._champion() is not champion:
                return

    def _count(self, progress: Any) -> None:
        (messages,) = progress["sources"]
        self._payments.inc(messages["numInputRows"])
        if messages["numInputRows"]:
            self._batch.set(progress["durationMs"]["triggerExecution"] / 1000)

    def _measure_lag(self, progress: Any) -> None:
        """Record how many messages of each partition no finished batch has."""
        done = json.loads(progress["sources"][0]["endOffset"])[VALIDATED.name] if progress else {}
        for number in range(VALIDATED.partitions):
            partition = TopicPartition(VALIDATED.name, number)
            first, end = self._consumer.get_watermark_offsets(partition, timeout=_KAFKA_SECONDS)
            self._lag[number] = end - done.get(str(number), first)


def as_messages(alerts: DataFrame) -> DataFrame:
    """Return the messages of `alerts`, keyed by customer.

    Their header is `VALIDATED_AT`.
    """
    validated_at = F.struct(
        F.lit(VALIDATED_AT).alias("key"),
        F.date_format("ingested_at", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX").cast("binary").alias("value"),
    )
    return alerts.select(
        F.col("customer_id").alias("key"),
        F.to_json(F.struct(*STREAM_ALERT), _JSON).alias("value"),
        F.array(validated_at).alias("headers"),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scorer; return its exit code."""
    parser = argparse.ArgumentParser(prog="streaming.scorer", description=__doc__)
    parser.add_argument("--source", default="simulator", help="the source of the payments")
    parser.add_argument("--port", type=int, required=True, help="of /metrics and /health")
    options = parser.parse_args(argv)

    def run(stopping: Event) -> None:
        scorer = Scorer(load_settings(), options.source)
        serve(options.port, scorer.registry, scorer.problem)
        try:
            scorer.run(stopping)
        except PySparkException as problem:
            raise StreamError(
                f"The query of the scorer failed: {problem}. Nothing is lost: start the scorer"
                " again, and it continues at its checkpoint."
            ) from problem

    return run_service(
        "scorer",
        options.port,
        run,
        afterwards="Nothing is lost: start it again, and it continues at its checkpoint.",
        explained=(SourceError, FraudRulesError, ConnectionError),
    )


if __name__ == "__main__":
    raise SystemExit(main())
