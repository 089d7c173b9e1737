"""Alerts of the stream into STAGING: what is an alert, repeats, and an outage of Postgres."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from confluent_kafka import KafkaError, Message, Producer
from hypothesis import given
from hypothesis import strategies as st

from contracts.model_tables import STREAM_ALERT
from contracts.settings import Kafka, Settings
from contracts.topics import ALERTS
from streaming import alerts
from streaming.alerts import AlertsLostError, NoAlert, Recorded, read_alert, record_alerts
from tests.streaming.messages import rewind
from tests.warehouses import Warehouses
from warehouse.errors import WarehouseLostError

ALERT = {
    "event_id": "2c829abe1f4532e1",
    "source_system": "simulator",
    "event_date": "2026-01-01",
    "event_at": "2026-01-01T00:02:28Z",
    "customer_id": "token",
    "counterparty_id": "M0000079",
    "merchant_category": "7011",
    "country": "US",
    "channel": "app",
    "amount": "12345678901234.5678",
    "currency": "USD",
    "rule_codes": ["HIGH_AMOUNT"],
    "rules_version": 1,
    "model_name": "fraud_detector_simulator",
    "model_version": 2,
    "score": 0.875,
    "risk_level": "high",
    "decision": "review",
    "reason_codes": ["HIGH_AMOUNT", "AMOUNT"],
    "reason_sentences": ["The amount is high. " * 50, "The amount is 12,500.00 USD."],
    "detected_at": "2026-01-01T00:02:29.250Z",
}


def message(**changes: Any) -> bytes:
    """Return an alert with some values changed; a key whose value is Ellipsis is absent."""
    return json.dumps({k: v for k, v in (ALERT | changes).items() if v is not ...}).encode()


def test_an_alert_has_exact_values_by_column() -> None:
    alert = read_alert(message(other=1))
    assert tuple(alert) == STREAM_ALERT
    assert alert["amount"] == Decimal("12345678901234.5678")
    assert alert["detected_at"] == datetime(2026, 1, 1, 0, 2, 29, 250_000, UTC)
    number = message().replace(b'"12345678901234.5678"', b"12345678901234.5678")
    assert read_alert(number) == read_alert(message())


def test_values_that_are_unknown_may_be_null_or_absent() -> None:
    """Without a champion there is no score, and Spark writes no key for a null."""
    optional = ("counterparty_id", "merchant_category", "country")
    unscored = ("model_name", "model_version", "score")
    for absent in (None, ...):
        alert = read_alert(message(**dict.fromkeys((*optional, *unscored), absent)))
        assert {alert[name] for name in (*optional, *unscored)} == {None}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"event_id": ...}, "missing required field `event_id`"),
        ({"event_id": "a\x00"}, "matching regex"),
        ({"event_id": "x" * 257}, "length <= 256"),
        ({"rule_codes": ["\ud800"]}, "surrogate"),
        ({"channel": "fax"}, "Invalid enum value 'fax'"),
        ({"decision": "approve"}, "Invalid enum value 'approve'"),
        ({"amount": "0.00001"}, "amount is no amount from 0 with at most 16 digits and 4 decimals"),
        ({"amount": "NaN"}, "amount is no amount"),
        ({"amount": -1}, "amount is no amount"),
        ({"amount": "1e16"}, "amount is no amount"),
        ({"score": 1.5}, "`float` <= 1.0"),
        ({"rules_version": 2**31}, "`int` <= 2147483647"),
        ({"model_name": None}, "of model_name, model_version and score some are null"),
        ({"event_at": "2026-01-01T00:02:28"}, "with a timezone"),
        ({"event_date": "0001-01-01"}, "event_date is not within 1900-01-01 to 2199-12-31"),
        ({"detected_at": "9999-12-31T00:00:00Z"}, "detected_at is not within"),
    ],
)
def test_a_message_that_staging_cannot_store_is_no_alert(
    changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(NoAlert, match=problem):
        read_alert(message(**changes))


@given(st.binary() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode))
def test_other_bytes_are_no_alert(content: bytes) -> None:
    with pytest.raises(NoAlert):
        read_alert(content)


def test_a_silent_broker_is_an_error_that_can_be_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(bootstrap_servers="127.0.0.1:1", passwords={"lander": "secret"})
    # It stops answering after the check.
    monkeypatch.setattr(alerts, "check", lambda *_: None)
    monkeypatch.setattr(alerts, "_SILENCE_SECONDS", 0.5)
    with pytest.raises(AlertsLostError, match=r"Kafka at 127\.0\.0\.1:1 has not answered"):
        record_alerts(kafka, "", "run")


@pytest.fixture
def warehouse(kafka: Settings, warehouses: Warehouses) -> Iterator[Settings]:
    """An empty warehouse, beside the broker with empty topics."""
    with warehouses.borrowed() as settings:
        yield settings


def _send(settings: Settings, *values: bytes) -> None:
    """Send messages of one customer, as the scorer does."""

    def delivered(error: KafkaError | None, _: Message) -> None:
        assert error is None, error

    producer = Producer(settings.kafka.login("scorer"))
    for value in values:
        producer.produce(ALERTS.name, value, key=b"token", on_delivery=delivered)
    assert producer.flush(30) == 0


def _stored(warehouse: Settings) -> list[tuple[Any, ...]]:
    with psycopg.connect(warehouse.warehouse.dsn("loader")) as loader:
        return loader.execute(
            "select event_id, amount, rule_codes, score, detected_at, run_id"
            " from staging.stream_alerts order by event_id"
        ).fetchall()


@pytest.mark.kafka
@pytest.mark.postgres
def test_alerts_are_recorded_once_and_other_messages_are_reported(
    kafka: Settings, warehouse: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two alerts on a payment the first one remains; Postgres away leaves the offsets alone."""

    def record(run_id: str, settings: Settings = warehouse) -> Recorded:
        return record_alerts(kafka.kafka, settings.warehouse.dsn("loader"), run_id)

    assert record("empty") == Recorded()
    _send(kafka, message(), b"no JSON", message(event_id="other", score=None), b"\xff")
    later = message(detected_at="2026-01-01T00:10:00Z")
    unscored = {"model_name": None, "model_version": None, "score": None}
    _send(kafka, later, message(event_id="another", **unscored))

    gone = warehouse.warehouse.model_copy(update={"port": 1})
    with pytest.raises(WarehouseLostError, match="run the task again once `make status` shows"):
        record("away", warehouse.model_copy(update={"warehouse": gone}))
    assert _stored(warehouse) == []

    with caplog.at_level(logging.WARNING):
        assert record("first") == Recorded(new=2, repeated=1, refused=3)
    positions = {text.split()[2] for text in caplog.messages if "is no alert: " in text}
    (number,) = {text.split("-")[1] for text in positions}
    first = min(int(text.split("-")[2]) for text in positions)
    assert positions == {f"alerts-{number}-{first + n}" for n in (0, 1, 2)}
    amount, detected = Decimal("12345678901234.5678"), datetime(2026, 1, 1, 0, 2, 29, 250_000, UTC)
    stored = [
        ("2c829abe1f4532e1", amount, ["HIGH_AMOUNT"], 0.875, detected, "first"),
        ("another", amount, ["HIGH_AMOUNT"], None, detected, "first"),
    ]
    assert _stored(warehouse) == stored

    assert record("second") == Recorded()
    rewind(kafka, "lander", ALERTS, "lander-alerts")
    assert record("again") == Recorded(repeated=3, refused=3)
    assert _stored(warehouse) == stored
