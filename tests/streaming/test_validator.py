"""The validation service as a process: outcomes, metrics, health, drain, messages that harm."""

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml
from confluent_kafka import KafkaError, Message, Producer

from contracts.settings import REPO, Settings
from contracts.topics import TRANSACTIONS, VALIDATED
from tests.streaming.readers import committed_messages
from tests.streaming.validators import running

pytestmark = pytest.mark.kafka
_GOLDEN = REPO / "tests" / "spark" / "golden" / "simulator"
_HARMFUL = {
    b'"' + b"x" * 3_000_000 + b'"': ["unreadable_row"],
    b"[" * 100_000 + b"]" * 100_000: ["unreadable_row"],
    b'{"transaction_id": "\xff\xfe"}': ["unreadable_row"],
    b"\x00" * 1000: ["unreadable_row"],
    b"": ["unreadable_row"],
}
"""A message of 3 MB, one that is nested deeply, one that is not UTF-8, NUL bytes, an empty one."""


def _page(address: str) -> str:
    return httpx.get(address, timeout=5).raise_for_status().text


def _send(settings: Settings, messages: list[bytes]) -> dict[tuple[int, int], bytes]:
    """Send messages; return them by partition and offset."""
    sent: dict[tuple[int, int], bytes] = {}

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        sent[message.partition(), message.offset()] = message.value() or b""

    limit = {"message.max.bytes": TRANSACTIONS.max_message_bytes}
    producer = Producer({**settings.kafka.login("producer"), **limit})
    for message in messages:
        producer.produce(TRANSACTIONS.name, message, on_delivery=delivered)
    assert producer.flush(60) == 0
    return sent


def test_each_message_is_validated_or_rejected_once(kafka: Settings, tmp_path: Path) -> None:
    golden = [line for line in (_GOLDEN / "delivery.jsonl").read_bytes().splitlines() if line]
    expected = yaml.safe_load((_GOLDEN / "expected.yaml").read_text())
    reasons = dict(zip(golden, (row["reasons"] for row in expected), strict=True)) | _HARMFUL
    log = tmp_path / "log"
    with committed_messages(kafka) as read, running(kafka, log) as (process, address):
        sent = _send(kafka, list(reasons))
        deadline = time.monotonic() + 60
        rejected: dict[tuple[int, int], list[str]] = {}
        validated: list[bytes] = []
        while len(rejected) + len(validated) < len(sent):
            assert time.monotonic() < deadline, log.read_text()
            for message in read():
                if message.topic() == VALIDATED.name:
                    validated.append(message.value())
                    continue
                position = {name: int(value) for name, value in message.headers()}
                place = (position["partition"], position["offset"])
                if place in sent:
                    assert place not in rejected
                    rejected[place] = json.loads(message.value())["reasons"]
        refused = {message: why for message, why in reasons.items() if why}
        assert {sent[place]: why for place, why in rejected.items()} == refused
        assert sorted(validated) == sorted(message for message, why in reasons.items() if not why)
        assert _page(f"{address}/health") == "healthy\n"
        while "tollgate_stream_lag{partition=" not in (metrics := _page(f"{address}/metrics")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        count = f'tollgate_stream_messages_total{{topic="{VALIDATED.name}"}} {len(validated)}.0'
        assert count in metrics
        assert 'tollgate_stream_rejects_total{reason="unreadable_row"}' in metrics
        process.terminate()
        assert process.wait(20) == 0
        assert read() == []


@pytest.mark.parametrize(
    ("variables", "arguments", "sentence"),
    [
        (
            {"TOLLGATE_KAFKA__PASSWORDS": '{"validator": "wrong"}'},
            (),
            "refuses the password of user validator",
        ),
        ({}, ("--source", "none"), "No source is called 'none'"),
        ({}, ("--port", "{kafka}"), "cannot be used"),
    ],
)
def test_a_service_that_cannot_start_says_why(
    kafka: Settings,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    given = [argument.format(kafka=kafka.port("kafka")) for argument in arguments]
    run = subprocess.run(
        [sys.executable, "-m", "streaming.validator", "--port", "1", *given],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 1
    assert sentence in run.stderr
    assert "Traceback" not in run.stderr
