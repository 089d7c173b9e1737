"""The alerts of the stream: messages of the topic `alerts` → STAGING.

A message is a JSON object with the keys `contracts.model_tables.STREAM_ALERT`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from contracts.columns import Column, LogicalType
from contracts.model_tables import MODEL_KEY, STREAM_ALERT
from contracts.settings import Kafka
from contracts.tables import TABLES
from contracts.topics import ALERTS, KafkaUser
from contracts.values import (
    CONTROL,
    LONGEST,
    MONEY_DECIMALS,
    MONEY_WHOLE_DIGITS,
    POSSIBLE_DATES,
    ValueClass,
)
from streaming.connection import check
from warehouse import stream_alerts

_log = logging.getLogger(__name__)
_USER: Final[KafkaUser] = "lander"
_GROUP: Final = "lander-alerts"
_BATCH_MESSAGES: Final = 500
_BATCH_SECONDS: Final = 0.5
_SILENCE_SECONDS: Final = 30.0
_LONGEST_WAIT_MILLISECONDS: Final = 2 * 60 * 60 * 1000
_INTEGER_MAXIMUM: Final = 2**31 - 1
_PRINTABLE: Final = rf"\A[^{CONTROL[1:-1]}]*\Z"
_ENTRY: Final = Annotated[str, msgspec.Meta(min_length=1, pattern=_PRINTABLE)]
_TEXT: Final = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        # Two such texts fit into a key of Postgres.
        max_length=LONGEST[ValueClass.IDENTIFIER],
        pattern=_PRINTABLE,
    ),
]


class AlertsLostError(ConnectionError):
    """Raised when Kafka does not answer during a run, which can be repeated."""


class NoAlert(ValueError):
    """Raised when a message is no alert; the message says what is wrong with it."""


@dataclass(frozen=True)
class Recorded:
    """What became of messages: new alerts, repeats of known ones, and those that are no alert."""

    new: int = 0
    repeated: int = 0
    refused: int = 0

    def __add__(self, other: Recorded) -> Recorded:
        return Recorded(
            self.new + other.new, self.repeated + other.repeated, self.refused + other.refused
        )

    def __str__(self) -> str:
        return (
            f"{self.new:,} new alerts, {self.repeated:,} repeats,"
            f" {self.refused:,} messages that are no alert"
        )


def record_alerts(kafka: Kafka, dsn: str, run_id: str) -> Recorded:
    """Record the alerts that wait in Kafka in staging.stream_alerts; return what became of them.

    Offsets are committed after the rows, so a run that is repeated loses nothing, and what it
    repeats changes nothing. A message that is no alert is reported in the log with its position.

    Raises:
        StreamError: when Kafka does not answer or refuses the user, or the topic is missing.
        WarehouseLostError: when Postgres does not answer. No offset of the batch is committed.
        AlertsLostError: when Kafka stops answering.
        KafkaException: when Kafka refuses a request.
    """
    check(kafka, _USER)
    consumer = Consumer(
        {
            **kafka.login(_USER),
            "group.id": _GROUP,
            "session.timeout.ms": 6000,
            # The rows wait while dbt runs.
            "max.poll.interval.ms": _LONGEST_WAIT_MILLISECONDS,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "queued.max.messages.kbytes": 16 * 1024,
        }
    )
    recorded = Recorded()
    reading, heard = set(range(ALERTS.partitions)), time.monotonic()
    try:
        consumer.subscribe([ALERTS.name])
        while reading:
            events = consumer.consume(_BATCH_MESSAGES, _BATCH_SECONDS)
            if events:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SILENCE_SECONDS:
                raise AlertsLostError(
                    f"Kafka at {kafka.bootstrap_servers} has not answered for"
                    f" {_SILENCE_SECONDS:.0f} s: see `make status`. No alert is lost: run the task"
                    " again, and it continues at the committed offsets."
                )
            messages, ends = _apart(events)
            if messages:
                recorded += _record(messages, dsn, run_id)
                _commit(consumer, messages)
            reading -= ends
    finally:
        consumer.close()
    return recorded


def _apart(events: Sequence[Message]) -> tuple[list[Message], set[int]]:
    """Return the messages, and the partitions whose end is reached."""
    messages, ends = list[Message](), set[int]()
    for event in events:
        error = event.error()
        if error is None:
            messages.append(event)
        elif error.code() == KafkaError._PARTITION_EOF:
            ends.add(event.partition())
        else:
            raise KafkaException(error)
    return messages, ends


def _record(messages: Sequence[Message], dsn: str, run_id: str) -> Recorded:
    rows = list[dict[str, Any]]()
    for message in messages:
        try:
            alert = read_alert(message.value() or b"")
        except NoAlert as problem:
            position = f"{message.topic()}-{message.partition()}-{message.offset()}"
            _log.warning("the message %s is no alert: %s", position, problem)
        else:
            rows.append(alert | {"recorded_at": datetime.now(UTC), "run_id": run_id})
    new = stream_alerts.record(dsn, rows) if rows else 0
    return Recorded(new, len(rows) - new, len(messages) - len(rows))


def _commit(consumer: Consumer, messages: Sequence[Message]) -> None:
    # Messages of a partition are in the order of their offsets.
    after = {message.partition(): message.offset() + 1 for message in messages}
    offsets = [TopicPartition(ALERTS.name, *position) for position in after.items()]
    consumer.commit(offsets=offsets, asynchronous=False)


def read_alert(message: bytes) -> dict[str, Any]:
    """Return the values of an alert by the columns `STREAM_ALERT`.

    A column that may be null may be absent. Other keys are ignored.

    Raises:
        NoAlert: when the message is no JSON object with the types and limits of the columns.
    """
    try:
        alert = msgspec.structs.asdict(msgspec.json.decode(message, type=_ALERT))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise NoAlert(str(problem)) from problem
    for name, value in alert.items():
        if isinstance(value, Decimal) and not _is_storable(value):
            raise NoAlert(
                f"{name} is no amount from 0 with at most {MONEY_WHOLE_DIGITS} digits and"
                f" {MONEY_DECIMALS} decimals"
            )
        if isinstance(value, date) and not _is_possible(value):
            raise NoAlert(f"{name} is not within {POSSIBLE_DATES[0]} to {POSSIBLE_DATES[1]}")
    if len({alert[name] is None for name in (*MODEL_KEY, "score")}) > 1:
        raise NoAlert(f"of {', '.join(MODEL_KEY)} and score some are null, and others are not")
    return alert


def _is_storable(amount: Decimal) -> bool:
    """Return whether STAGING stores an amount without rounding it."""
    return (
        amount.is_finite()
        and 0 <= amount < 10**MONEY_WHOLE_DIGITS
        and amount == round(amount, MONEY_DECIMALS)
    )


def _is_possible(value: date) -> bool:
    first, last = POSSIBLE_DATES
    return first <= (value.date() if isinstance(value, datetime) else value) <= last


def _type_of(column: Column) -> Any:
    """Return the type of a column's values in a message."""
    limits: dict[str, Any] = {"ge": column.minimum, "le": column.maximum}
    match column.type:
        case LogicalType.STRING if column.name == "decision":
            return Literal["review", "decline"]  # an approved payment is no alert
        case LogicalType.STRING:
            return Literal[*column.allowed] if column.allowed else _TEXT
        case LogicalType.STRINGS:
            return list[_ENTRY]  # type: ignore[valid-type]
        case LogicalType.INTEGER:
            return Annotated[int, msgspec.Meta(**limits | {"le": _INTEGER_MAXIMUM})]
        case LogicalType.DOUBLE:
            return Annotated[float, msgspec.Meta(**limits)]
        case LogicalType.TIMESTAMP:
            return Annotated[datetime, msgspec.Meta(tz=True)]
        case _:
            return {LogicalType.DATE: date, LogicalType.MONEY: Decimal}[column.type]


def _fields() -> list[Any]:
    table = TABLES["staging.stream_alerts"]
    return [
        (column.name, _type_of(column) | None, None)
        if table.is_nullable(column.name)
        else (column.name, _type_of(column))
        for column in table.columns
        if column.name in STREAM_ALERT
    ]


_ALERT: Final = msgspec.defstruct("Alert", _fields(), frozen=True, kw_only=True)
