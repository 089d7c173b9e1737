"""The alerts of a stream: how many the scorer raised, by which rules, and how soon."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import quantiles
from typing import Final

import httpx
import msgspec
from confluent_kafka import Consumer, Message, TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from contracts.settings import HOST, Kafka, Settings
from contracts.topics import ALERTS
from streaming.connection import check
from streaming.scorer import VALIDATED_AT

_READ_SECONDS: Final = 10
_MODEL: Final = "the model"


@dataclass
class Raised:
    """The alerts of a stream: payments by decision, and by what raised the alert.

    `seconds` are the times from the validation of each payment to its alert in Kafka, by the clock
    of the broker.
    """

    decisions: Counter[str] = field(default_factory=Counter)
    detectors: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def add(self, message: Message, began: datetime) -> None:
        """Count an alert of the topic, if its payment was validated after `began`."""
        validated = datetime.fromisoformat(dict(message.headers() or ())[VALIDATED_AT].decode())
        if validated < began:
            return
        alert = msgspec.json.decode(message.value() or b"")
        self.decisions[alert["decision"]] += 1
        # An alert whose reasons are rules is one of rules alone.
        self.detectors.update(alert["rule_codes"])
        self.detectors[_MODEL] += not {*alert["reason_codes"]} <= {*alert["rule_codes"]}
        raised = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
        self.seconds.append((raised - validated).total_seconds())

    def within(self, share: int) -> float:
        """Return the time in seconds within which a share of the alerts, in percent, was raised."""
        if len(self.seconds) == 1:
            return self.seconds[0]
        return quantiles(self.seconds, n=100, method="inclusive")[share - 1]


def waiting(settings: Settings) -> int:
    """Return how many validated messages wait for their score.

    Raises:
        httpx.HTTPError: when the scorer does not answer.
    """
    page = httpx.get(f"http://{HOST}:{settings.port('scorer')}/metrics", timeout=10)
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(page.raise_for_status().text)
        for sample in family.samples
        if sample.name == "tollgate_stream_lag"
    )


def ends(kafka: Kafka) -> list[TopicPartition]:
    """Return the next offset of each partition of `alerts`.

    Raises:
        StreamError: when no broker answers, or refuses the user.
    """
    check(kafka, "reader")
    consumer = _consumer(kafka)
    try:
        return [
            TopicPartition(
                ALERTS.name,
                number,
                consumer.get_watermark_offsets(TopicPartition(ALERTS.name, number), timeout=10)[1],
            )
            for number in range(ALERTS.partitions)
        ]
    finally:
        consumer.close()


def wait_for_scores(settings: Settings, seconds: float) -> int:
    """Wait until each validated message has been scored; return how many wait nevertheless."""
    deadline = time.monotonic() + seconds
    while (left := waiting(settings)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return left


def raised_since(kafka: Kafka, since: Sequence[TopicPartition], began: datetime) -> Raised:
    """Return the alerts from these offsets on, for payments that were validated after `began`."""
    found, until = Raised(), {one.partition: one.offset for one in ends(kafka)}
    left = sum(until[one.partition] - one.offset for one in since)
    consumer = _consumer(kafka)
    try:
        consumer.assign(list(since))
        deadline = time.monotonic() + _READ_SECONDS
        while left > 0 and time.monotonic() < deadline:
            for message in consumer.consume(1_000, timeout=0.5):
                if message.error() is None and (message.offset() or 0) < until[message.partition()]:
                    found.add(message, began)
                    left -= 1
    finally:
        consumer.close()
    return found


def alerts_table(raised: Raised) -> Table:
    """Return the counts as a table for the terminal."""
    table = Table(title="Alerts", title_justify="left")
    table.add_column("")
    table.add_column("payments", justify="right")
    for decision, count in raised.decisions.most_common():
        table.add_row(decision, f"{count:,}")
    for detector, count in raised.detectors.most_common():
        if count:
            table.add_row(f"  by {detector}", f"{count:,}")
    return table


def _consumer(kafka: Kafka) -> Consumer:
    # A connection that the broker closes is no news: the client opens another one.
    return Consumer({**kafka.login("reader"), "group.id": "reader-demo", "log_level": 0})
