"""Figures of a stream, with a restart and repeated messages, against those of the batch line.

Slow, about half a minute: two queries start, and Spark computes the figures of a batch beside them.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from confluent_kafka import Producer

from contracts.features import FEATURE_NAMES
from contracts.fraud_rules import VELOCITIES
from contracts.render.to_spark import SPARK_TYPES
from contracts.settings import Settings
from contracts.topics import VALIDATED
from simulator.days import deliver
from simulator.rows import Feed
from simulator.settings import DirtSettings
from simulator.settings import Settings as World
from simulator.world import make_world
from sources.simulator import SIMULATOR

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.kafka]

_DAYS: Final = 5
_OF_OTHERS: Final = ("merchant_", "category_", "payee_", "received_", "amount_to_received_")
_FIGURES: Final = (
    *(name for name in FEATURE_NAMES if not name.startswith(_OF_OTHERS)),
    *VELOCITIES,
)
_UNKNOWN: Final = tuple(name for name in FEATURE_NAMES if name.startswith(_OF_OTHERS))


def payments(customers: int) -> list[bytes]:
    """Return the messages of some days, in the order of time."""
    world = make_world(World(customers=customers, dirt=DirtSettings(rates={})))
    feed = Feed(world)
    lines = [
        line.removesuffix("\n").encode()
        for day in range(_DAYS)
        for batch in deliver(world, feed, day, "jsonl").lines
        for line in batch.to_pylist()
    ]
    return sorted(lines, key=lambda line: json.loads(line)["timestamp"])


def produce(settings: Settings, messages: Sequence[bytes]) -> None:
    """Send messages as the validation service does: those of a customer into one partition."""
    producer = Producer(settings.kafka.login("validator"))
    for message in messages:
        producer.produce(VALIDATED.name, message, json.loads(message)["customer_id"])
        producer.poll(0)
    assert producer.flush(60) == 0


@pytest.mark.parametrize(
    ("customers", "least"), [(200, 1_000), pytest.param(1_200, 10_000, marks=pytest.mark.soak)]
)
def test_figures_of_a_stream_that_was_interrupted_are_those_of_the_batch_line(
    kafka: Settings, spark: "SparkSession", tmp_path: Path, customers: int, least: int
) -> None:
    messages = payments(customers)
    half = len(messages) // 2

    produce(kafka, messages[:half])
    streamed(kafka, spark, tmp_path)
    produce(kafka, [*messages[half:], *messages[:half:7]])
    rows = streamed(kafka, spark, tmp_path)

    expected = in_batch(kafka, spark).select("event_id", *_FIGURES).toPandas()
    found = rows.select("event_id", *_FIGURES, *_UNKNOWN).toPandas()
    assert len(messages) == len(found) == len(expected) >= least
    assert found[list(_UNKNOWN)].isna().all(axis=None)
    found, expected = (
        frame.set_index("event_id").sort_index()[list(_FIGURES)] for frame in (found, expected)
    )
    assert found["card_transaction_count_3600s"].max() > 1
    assert found["is_new_device"].any()
    differing = (found.ne(expected) & ~(found.isna() & expected.isna())).sum()
    assert differing[differing > 0].to_dict() == {}


def streamed(settings: Settings, spark: "SparkSession", folder: Path) -> "DataFrame":
    """Run the query until all messages are read; return all rows that it has written."""
    from spark.jobs.stream_features import (
        FIGURES,
        STATE_CONF,
        figures,
        filled_in_stream,
        stream_payments,
    )

    for name, value in STATE_CONF.items():
        spark.conf.set(name, value)
    step = partial(figures, filled=filled_in_stream(SIMULATOR))
    query = (
        stream_payments(spark, settings.kafka, SIMULATOR, settings.pseudonym_key_file)
        .mapInArrow(step, ", ".join(f"{one.name} {SPARK_TYPES[one.type]}" for one in FIGURES))
        .writeStream.format("parquet")
        .option("path", str(folder / "figures"))
        .option("checkpointLocation", str(folder / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    return spark.read.parquet(str(folder / "figures"))


def in_batch(settings: Settings, spark: "SparkSession") -> "DataFrame":
    """Return the figures of all messages, each once, as the batch line computes them."""
    from spark.jobs.column_coverage import columns_filled
    from spark.jobs.stream_features import payments_of
    from spark.kafka import kafka_source
    from spark.transforms.features.velocity import with_velocities
    from tests.spark.whole_features import features

    messages = (
        spark.read.format("kafka")
        .options(**kafka_source(settings.kafka, "scorer"))
        .option("subscribe", VALIDATED.name)
        .load()
    )
    rows = payments_of(spark, messages, SIMULATOR, settings.pseudonym_key_file)
    rows = rows.dropDuplicates(["event_id"]).localCheckpoint()
    labels = spark.createDataFrame(
        [], "event_id string, source_system string, is_fraud boolean, known_at timestamp"
    )
    of_customers = features(rows, labels, {SIMULATOR.name: columns_filled(SIMULATOR.name)})
    return of_customers.join(with_velocities(rows), ["event_id", "source_system"])
