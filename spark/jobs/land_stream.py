"""Landing of the stream: outcomes of messages, in Structured Streaming, into objects of Raw.

Each micro-batch writes objects and then its record (`sources.stream_batches`). Spark repeats an
interrupted batch with the same messages, so an object is written once, whatever is killed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from contracts.reasons import RejectReason
from contracts.settings import Kafka, get_settings
from contracts.topics import (
    OFFSET_HEADER,
    PARTITION_HEADER,
    REJECTED,
    TIME_HEADER,
    TRANSACTIONS,
    VALIDATED,
    KafkaUser,
)
from sources import errors
from sources.declaration import Source
from sources.registry import source as declared
from sources.store import s3_client
from sources.stream_batches import Batch, Positions, Range, write_batch
from sources.stream_objects import land_messages, line
from spark.jobs.batch import on_disk
from spark.kafka import kafka_source

_MESSAGES_PER_BATCH: Final = 50_000
"""A batch passes through the memory of one Python process: some 40 MB of payments."""
_USER: Final[KafkaUser] = "lander"
_REJECT: Final = "reasons array<string>, arrived_at timestamp"
"""What the landing reads of a message of `transactions.rejected`."""
_OBJECT: Final = ("day", "partition", "is_future")
"""Columns of messages that are alike in an object of Raw."""
_ERROR_OF_A_BATCH: Final = re.compile(r"sources\.errors\.(\w+): (.+)")


def land_stream(spark: SparkSession, kafka: Kafka, source: str, checkpoint: str) -> None:
    """Land the outcomes that are committed now, and return when they have landed.

    `checkpoint` is the folder in which Spark records the offsets that it has read.

    Raises:
        StoreRefusedError: when a batch has a wrong key of the object store.
        StoreUnreachableError: when the object store does not answer a batch.
        StreamBatchError: when another batch of this number has landed.
        StreamingQueryException: when a batch fails otherwise. The next call repeats a failed batch.
    """
    outcomes = (
        spark.readStream.format("kafka")
        .options(**kafka_source(kafka, _USER))
        .option("subscribe", f"{VALIDATED.name},{REJECTED.name}")
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", _MESSAGES_PER_BATCH)
        .load()
    )
    query = (
        outcomes.writeStream.queryName(f"land_stream_{source}")
        .foreachBatch(LandBatch(source))
        .option("checkpointLocation", checkpoint)
        .trigger(availableNow=True)
    )
    with _errors_of_a_batch():
        query.start().awaitTermination()


@contextmanager
def _errors_of_a_batch() -> Iterator[None]:
    """Raise our error of a batch, whose text Spark's error has among traces of Java and Python."""
    try:
        yield
    except PySparkException as error:
        if found := _ERROR_OF_A_BATCH.search(str(error)):
            raise getattr(errors, found[1])(found[2]) from error
        raise


@dataclass(frozen=True)
class LandBatch:
    """Lands one micro-batch of outcomes; runs in a process of Spark's server."""

    source: str

    def __call__(self, outcomes: DataFrame, number: int) -> None:
        """Write the objects of a batch and its record."""
        settings, source = get_settings(), declared(self.source)
        s3, bucket = s3_client(settings, "lander"), settings.s3.raw_bucket
        with on_disk(outcomes) as persisted:  # several queries read the batch
            messages = _messages(persisted, settings.kafka, source).toArrow().to_pylist()
        objects: dict[Any, list[Any]] = {}
        for (day, partition), rows, arrived in objects_of(messages):
            name = f"{partition}-{rows[0]['offset']:012d}-{rows[-1]['offset']:012d}"
            lines = [line(row["message"], is_json=row["is_json"]) for row in rows]
            landed = land_messages(s3, bucket, source, day, name, lines, arrived)
            objects.setdefault(day, []).append(landed)
        times = [row["event_at"] for row in messages if row["is_valid"]]
        batch = Batch(
            number=number,
            objects={day: tuple(found) for day, found in objects.items()},
            positions=_positions(messages),
            newest=max(times, default=None),
        )
        write_batch(s3, bucket, source.name, batch)


def objects_of(
    messages: list[dict[str, Any]],
) -> Iterator[tuple[tuple[date, int], list[dict[str, Any]], datetime]]:
    """Yield the messages of each object with their day and partition, and when the object arrived.

    The batch line compares a payment with the arrival of its object. Payments that the validation
    service refused as of the future have an object with the arrival of the first one, so that the
    batch line refuses each of them, and no other one.
    """
    for (day, partition, is_future), group in groupby(messages, itemgetter(*_OBJECT)):
        rows = list(group)
        arrivals = [row["arrived"] for row in rows]
        yield (day, partition), rows, min(arrivals) if is_future else max(arrivals)


def _messages(outcomes: DataFrame, kafka: Kafka, source: Source) -> DataFrame:
    """Return the messages of outcomes by object, in the order in which they were sent.

    A rejected one is as its source sent it, since its outcome is masked. A message without a time,
    or with one of the future, belongs to the day on which it arrived.
    """
    headers = F.map_from_entries("headers")
    known = outcomes.select(
        headers[PARTITION_HEADER].cast("string").cast("int").alias("partition"),
        headers[OFFSET_HEADER].cast("string").cast("bigint").alias("offset"),
        headers[TIME_HEADER].cast("string").cast("timestamp").alias("event_at"),
        (F.col("topic") == VALIDATED.name).alias("is_valid"),
        F.col("timestamp").alias("arrived"),
        F.col("value").alias("message"),
    )
    reject = F.from_json(F.col("message").cast("string"), _REJECT)
    rejected = (
        known.filter(~F.col("is_valid"))
        .withColumns({"arrived": reject["arrived_at"], "reasons": reject["reasons"]})
        .withColumn("is_future", F.array_contains("reasons", str(RejectReason.FUTURE_TIME)))
    )
    is_readable = F.col("reasons")[0] != RejectReason.UNREADABLE_ROW
    # Kafka keeps an original for a week. After that its outcome lands in its place.
    restored = (
        rejected.join(_originals(rejected, kafka), ["partition", "offset"], "left")
        .withColumn("is_json", F.col("original").isNotNull() & is_readable)
        .withColumn("message", F.coalesce("original", "message"))
        .drop("original", "reasons")
    )
    valid = known.filter("is_valid").withColumns(
        {"is_json": F.lit(True), "is_future": F.lit(False)}
    )
    both = valid.unionByName(restored).withColumn("day", _day(source))
    return both.orderBy(*_OBJECT, "offset")


def _day(source: Source) -> Column:
    """Return the business date of a message in the time zone of its source.

    A refused time of the future would name a day that is complete in years.
    """
    is_known = F.col("event_at").isNotNull() & ~F.col("is_future")
    at = F.when(is_known, F.col("event_at")).otherwise(F.col("arrived"))
    return F.to_date(F.from_utc_timestamp(at, source.zone))


def _originals(rejected: DataFrame, kafka: Kafka) -> DataFrame:
    """Read the part of `transactions` in which rejected messages lie."""
    spans = (
        rejected.groupBy("partition")
        .agg(F.min("offset").alias("first"), F.max("offset").alias("last"))
        .collect()
    )
    if not spans:
        return rejected.select("partition", "offset", F.col("message").alias("original"))

    def by_partition(offset_of: Callable[[Row], int]) -> str:
        return json.dumps({TRANSACTIONS.name: {row["partition"]: offset_of(row) for row in spans}})

    return (
        rejected.sparkSession.read.format("kafka")
        .options(**kafka_source(kafka, _USER))
        .option("assign", json.dumps({TRANSACTIONS.name: [row["partition"] for row in spans]}))
        .option("startingOffsets", by_partition(lambda row: row["first"]))
        .option("endingOffsets", by_partition(lambda row: row["last"] + 1))
        .option("failOnDataLoss", "false")
        .load()
        .select("partition", "offset", F.col("value").alias("original"))
    )


def _positions(messages: list[dict[str, Any]]) -> dict[int, Positions]:
    """Return the positions of a batch's messages by partition."""
    found = {}
    ordered = sorted(messages, key=itemgetter("partition", "offset"))
    for partition, group in groupby(ordered, itemgetter("partition")):
        rows = list(group)
        valid = sum(row["is_valid"] for row in rows)
        found[partition] = Positions(
            tuple(_ranges(row["offset"] for row in rows)), valid, len(rows) - valid
        )
    return found


def _ranges(offsets: Iterator[int]) -> Iterator[Range]:
    """Return the ranges of sorted offsets; a repeated one begins a range."""
    first = last = next(offsets)
    for offset in offsets:
        if offset != last + 1:
            yield first, last
            first = offset
        last = offset
    yield first, last
