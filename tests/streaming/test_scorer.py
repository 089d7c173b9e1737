"""The scorer as a process: alerts for validated payments, across a kill and a repetition.

Slow, about 40 s: it starts Kafka, Spark and the scorer twice.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from contracts.settings import Settings
from contracts.topics import ALERTS, VALIDATED
from embedded.services import stream
from streaming.alerts import read_alert
from streaming.scorer import main
from tests.outage import away
from tests.streaming.conftest import changed
from tests.streaming.validators import running

pytestmark = [pytest.mark.kafka, pytest.mark.spark]

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def payments(prefix: str, large: int) -> list[bytes]:
    """Return 20 payments of a customer, a minute apart; `large` of them above 10,000 dollars."""
    return [
        json.dumps(
            changed(
                transaction_id=f"{prefix}{n}",
                timestamp=f"{NOON + timedelta(minutes=n):%Y-%m-%dT%H:%M:%SZ}",
                amount=20_000 if n < large else 10,
            )
        ).encode()
        for n in range(20)
    ]


def produce(settings: Settings, messages: list[bytes]) -> None:
    producer = Producer(settings.kafka.login("validator"))
    for message in messages:
        producer.produce(VALIDATED.name, message, "C0000020")
    assert producer.flush(30) == 0


class Alerts:
    """The alerts of the topic since the test began."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.messages: list[dict[str, Any]] = []

    def wait_for(self, event_ids: set[str], seconds: float) -> None:
        """Read until there is an alert for each of these payments."""
        deadline = time.monotonic() + seconds
        while not event_ids <= {one["event_id"] for one in self.messages}:
            assert time.monotonic() < deadline, self.messages
            for message in self._consumer.consume(100, timeout=0.5):
                assert message.error() is None
                read_alert(message.value())  # as `record_alerts` reads it
                self.messages.append(json.loads(message.value()))


@contextmanager
def reading(settings: Settings) -> Iterator[Alerts]:
    consumer = Consumer({**settings.kafka.login("reader"), "group.id": "reader"})
    partitions = [TopicPartition(ALERTS.name, n) for n in range(ALERTS.partitions)]
    for partition in partitions:
        partition.offset = consumer.get_watermark_offsets(partition, timeout=10)[1]
    consumer.assign(partitions)
    yield Alerts(consumer)
    consumer.close()


def test_each_payment_is_scored_once_across_a_kill_and_a_repetition(
    kafka: Settings, spark_settings: Settings, tmp_path: Path
) -> None:
    first, second, third = payments("a", large=2), payments("b", large=3), payments("c", large=1)

    with reading(kafka) as alerts:
        with running(kafka, tmp_path / "log", stream.scorer) as (process, _):
            produce(kafka, first)
            alerts.wait_for({"a0", "a1"}, 120)
            process.kill()
        # The query outlives its client, until the next scorer replaces it.
        produce(kafka, [*second, *first])
        with running(kafka, tmp_path / "log", stream.scorer) as (_, address):
            produce(kafka, third)
            alerts.wait_for({"b0", "b1", "b2", "c0"}, 120)
            metrics = httpx.get(f"{address}/metrics", timeout=10).text

    counts = Counter(one["event_id"] for one in alerts.messages)
    assert counts == dict.fromkeys(("a0", "a1", "b0", "b1", "b2", "c0"), 1)
    assert "tollgate_stream_model_version 0.0" in metrics
    alert = alerts.messages[0]
    assert alert["rule_codes"] == ["HIGH_AMOUNT"]
    assert (alert["risk_level"], alert["decision"]) == ("high", "review")
    assert alert["model_name"] is alert["model_version"] is alert["score"] is None
    assert (alert["amount"], alert["currency"]) == (20_000, "USD")
    assert alert["event_at"] == "2026-06-01T12:00:00.000000Z"
    assert "C0000020" not in json.dumps(alerts.messages)


def test_a_scorer_ends_with_a_sentence_while_the_object_store_is_away(
    kafka: Settings, spark_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with away(spark_settings, "s3"):
        assert main(["--port", "0"]) == 1
    assert "The object store did not answer Spark" in capsys.readouterr().err


def test_a_scorer_without_a_source_or_kafka_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kafka: Settings
) -> None:
    assert main(["--source", "nobody", "--port", "0"]) == 1
    assert "nobody" in capsys.readouterr().err
    monkeypatch.setenv("TOLLGATE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    assert main(["--port", "0"]) == 1
    assert "No Kafka answers at 127.0.0.1:9" in capsys.readouterr().err
