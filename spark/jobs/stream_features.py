"""Features and velocities of validated payments while they arrive, in Structured Streaming.

Spark keeps the recent payments of each customer as state. A payment goes through the kernel of the
Sandbox together with these, so that its figures are those of the batch line.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle

from contracts.columns import COLUMNS
from contracts.features import CUSTOMER_PAYEES, FEATURE_NAMES, HISTORY_DAYS, SOURCE_FEATURES
from contracts.fraud_rules import VELOCITIES
from contracts.model_tables import PAYMENT_OF_ALERT
from contracts.render.to_arrow import arrow_type
from contracts.render.to_iceberg import qualified
from contracts.settings import Kafka
from contracts.topics import VALIDATED
from lake.tables import ensure_tables
from sources.declaration import Source
from spark.jobs.column_coverage import columns_filled
from spark.jobs.raw_text import rows_of_messages
from spark.kafka import kafka_source
from spark.transforms.adapt import adapt
from spark.transforms.coarsen import coarsen
from spark.transforms.features import Filled, added_to, inputs, of_customers, schema
from spark.transforms.features.velocity import VELOCITY_INPUTS, velocities
from spark.transforms.pseudonymise import pads, pseudonymise
from spark.transforms.validate import business_date

if TYPE_CHECKING:
    from pyspark.sql import GroupedData

STATE_CONF: Final = {
    "spark.sql.streaming.stateStore.providerClass": (
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    ),
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
}
"""What a session of Spark needs to keep state in RocksDB, and to write only changes of it to S3."""
_LATE: Final = timedelta(days=3)
"""A payment that arrives this late still has its whole history in the state."""
_KEPT: Final = timedelta(days=HISTORY_DAYS) + _LATE
_MESSAGES_PER_BATCH: Final = 5_000
_CUSTOMER: Final = ("source_system", "customer_id")
_PAYMENT: Final = (*PAYMENT_OF_ALERT, "ingested_at")
_OF_THE_PAYMENT: Final = {"channel", "ingested_at", "home_lat", "home_lon", SOURCE_FEATURES}
"""Columns that no later payment needs."""
_TIMES: Final = ("event_at", "ingested_at")
FIGURES: Final = (
    *(COLUMNS[name] for name in dict.fromkeys((*_PAYMENT, *FEATURE_NAMES, SOURCE_FEATURES))),
    *VELOCITIES.values(),
)
"""The columns that `figures` returns."""
Batches = Iterator[pa.RecordBatch]


def stream_payments(spark: SparkSession, kafka: Kafka, source: Source, key_file: Path) -> DataFrame:
    """Return the streaming frame of validated payments, each with the recent ones of its customer.

    The rows are the input of `figures`; new payments have `is_wanted`. A payment that repeats a
    known `event_id` is left out.

    A query that starts without a checkpoint takes the payments in the lake as history.
    """
    messages = (
        spark.readStream.format("kafka")
        .options(**kafka_source(kafka, "scorer"))
        .option("subscribe", VALIDATED.name)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", _MESSAGES_PER_BATCH)
        .load()
    )
    ensure_tables(spark, "processed")
    history = _recent_payments(spark, source)
    others = {*inputs(filled_in_stream(source)), *VELOCITY_INPUTS, *_PAYMENT} - {*_CUSTOMER}
    names = (*_CUSTOMER, *sorted(others))
    kept = tuple(sorted(others - _OF_THE_PAYMENT))

    def by_customer(rows: DataFrame) -> "GroupedData":
        in_micros = {name: F.unix_micros(name) for name in _TIMES}
        return rows.withColumns(in_micros).select(*names).groupBy(*_CUSTOMER)

    with_recent = by_customer(payments_of(spark, messages, source, key_file)).transformWithState(
        RecentPayments(names, kept),
        outputStructType=f"{_ddl(names)}, is_wanted boolean",
        outputMode="append",
        timeMode="none",
        initialState=by_customer(history),
    )
    return with_recent.withColumns({name: F.timestamp_micros(name) for name in _TIMES})


def payments_of(
    spark: SparkSession, messages: DataFrame, source: Source, key_file: Path
) -> DataFrame:
    """Return the payments of validated messages of Kafka, in the form of processed.transactions."""
    version = source.versions[-1]
    rows = adapt(rows_of_messages(messages, version), source, version)
    dated = rows.withColumn("event_date", business_date(F.col("event_at"), source.zone))
    key = spark.read.format("binaryFile").load(key_file.absolute().as_uri())
    return coarsen(pseudonymise(dated, pads(key)))


def filled_in_stream(source: Source) -> Filled:
    """Return the columns of payments that features in the stream can need."""
    # Money that a customer received is not in the state: its payers are other customers.
    return {source.name: columns_filled(source.name) - {CUSTOMER_PAYEES}}


def figures(batches: Batches, *, filled: Filled) -> Batches:
    """Return the columns `FIGURES` of the new payments of a task, for use with `mapInArrow`.

    They are the payment (`PAYMENT_OF_ALERT`), when its message arrived (`ingested_at`), the
    features and `VELOCITIES`. Features of counterparties and categories are null, because the state
    has the payments of customers.
    """
    task_batches = list(batches)
    if not task_batches:
        return
    rows = of_customers(pa.Table.from_batches(task_batches), filled)
    rows = added_to(rows, velocities(rows)).filter(rows["is_wanted"])
    columns = {}
    for one in FIGURES:
        kind = arrow_type(one.type)
        is_there = one.name in rows.column_names
        columns[one.name] = rows[one.name].cast(kind) if is_there else pa.nulls(len(rows), kind)
    yield from pa.table(columns).to_batches()


class RecentPayments(StatefulProcessor):  # type: ignore[misc]
    """Keeps the recent payments of each customer, and returns them with each new one.

    New payments have `is_wanted`. The others have null in the columns that are not `kept`.
    """

    def __init__(self, names: Sequence[str], kept: Sequence[str]) -> None:
        """Take the columns of the rows, and those of the state."""
        self._names, self._kept = tuple(names), tuple(kept)
        self._id, self._at = kept.index("event_id"), kept.index("event_at")
        self._row = Row(*names, "is_wanted")

    def init(self, handle: StatefulProcessorHandle) -> None:
        """Open the state."""
        # With an expiry, Spark runs a batch for each trigger, also when no message has arrived.
        self._recent = handle.getListState("recent", _ddl(self._kept))

    def handleInitialState(self, key: Any, initialState: Row, timerValues: Any) -> None:
        """Take a payment of the lake into the state."""
        self._recent.appendValue(self._of(initialState))

    def handleInputRows(self, key: Any, rows: Iterator[Row], timerValues: Any) -> Iterator[Row]:
        """Return the recent payments of a customer and those that are new."""
        known = list(self._recent.get())
        ids = {payment[self._id] for payment in known}
        new = []
        for row in rows:
            if row["event_id"] not in ids:
                ids.add(row["event_id"])
                new.append(row)
        if not new:
            return
        since = max(row["event_at"] for row in new) - _KEPT // timedelta(microseconds=1)
        recent = [payment for payment in known if payment[self._at] > since]
        if 2 * len(recent) < len(known):  # the state is written again when half of it is old
            self._recent.put([*recent, *map(self._of, new)])
        else:
            self._recent.appendList([self._of(row) for row in new])
        for payment in recent:
            values = dict(
                zip(_CUSTOMER, key, strict=True), **dict(zip(self._kept, payment, strict=True))
            )
            yield self._row(*map(values.get, self._names), False)
        for row in new:
            yield self._row(*(row[name] for name in self._names), True)

    def close(self) -> None:
        """Nothing is open."""

    def _of(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self._kept)


def _recent_payments(spark: SparkSession, source: Source) -> DataFrame:
    """Return the newest payments of a source in the lake, as far back as the state goes."""
    payments = spark.table(qualified("processed.transactions"))
    payments = payments.filter(F.col("source_system") == source.name)
    since = F.max("event_at") - F.expr(f"interval {_KEPT.days} days")
    first = payments.agg(since).collect()[0][0]
    return payments.filter(F.col("event_at") > F.lit(first).cast("timestamp"))


def _ddl(names: Sequence[str]) -> str:
    """Return the DDL of columns, with times in microseconds."""
    return ", ".join(f"{name} bigint" if name in _TIMES else schema((name,)) for name in names)
