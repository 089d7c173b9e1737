"""A simulated world through Kafka and the validation service, as `make stream` runs it.

Slow, about 20 s: it starts the broker, the service and the simulator.
"""

import io
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console

from contracts.settings import REPO, Settings
from contracts.topics import REJECTED, TRANSACTIONS, VALIDATED
from demo import stream
from embedded.services.kafka import admin, create
from sources.simulator import SIMULATOR
from streaming import producer
from tests.streaming.validators import running

pytestmark = pytest.mark.kafka
_GOLDEN = REPO / "tests" / "spark" / "golden" / "simulator" / "delivery.jsonl"


def test_each_message_of_a_simulated_world_has_one_outcome(kafka: Settings, tmp_path: Path) -> None:
    text = io.StringIO()
    with running(kafka, tmp_path / "log"):
        found = stream.run(kafka, Console(file=text, width=120), seconds=4, rate=400, first_day=0)
    assert found["sent"] >= 400
    assert found[VALIDATED.name] + found[REJECTED.name] == found["sent"]
    assert found[VALIDATED.name] > found[REJECTED.name]
    assert f"{found['sent']:,}" in text.getvalue()


def test_messages_have_the_payer_as_key_and_a_large_one_is_refused(kafka: Settings) -> None:
    lines = [line for line in _GOLDEN.read_bytes().splitlines(keepends=True) if line.strip()]
    reader = Consumer({**kafka.kafka.login("validator"), "group.id": "validator-test"})
    partitions = [TopicPartition(TRANSACTIONS.name, n) for n in range(TRANSACTIONS.partitions)]
    for partition in partitions:
        partition.offset = reader.get_watermark_offsets(partition, timeout=10)[1]
    reader.assign(partitions)

    large = b"x" * (TRANSACTIONS.max_message_bytes + 1)
    sent = producer.send([*lines, large], kafka.kafka, SIMULATOR)

    assert (sent.acknowledged, sent.refused) == (len(lines), 1)
    assert sent.refusal.startswith(f"a message of {len(large):,} bytes: ")
    found = {}
    while len(found) < len(lines):
        for message in reader.consume(len(lines), timeout=10):
            found[message.value()] = message.key()
    reader.close()
    payers = [b"C0000095", b"C0000043", b"C0000007", b"C0000007", None, None]
    assert found == dict(zip((line.strip() for line in lines), payers, strict=True))


def _send_a_message() -> tuple[int, float]:
    """Return the exit code of the producer, and how many seconds it took."""
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}\n")))
        return producer.main([]), time.monotonic() - began


def test_a_producer_with_a_wrong_password_says_so_within_ten_seconds(
    kafka: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOLLGATE_KAFKA__PASSWORDS", '{"producer": "wrong"}')
    code, seconds = _send_a_message()
    assert code == 1
    assert seconds < 10
    assert "refuses the password of user producer" in capsys.readouterr().err


def test_a_producer_to_a_missing_topic_says_so_within_ten_seconds(
    kafka: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    client = admin(kafka)
    [deleted] = client.delete_topics([TRANSACTIONS.name]).values()
    deleted.result(10)
    try:
        while TRANSACTIONS.name in client.list_topics(timeout=10).topics:
            time.sleep(0.1)
        code, seconds = _send_a_message()
    finally:
        create(kafka)
    assert code == 1
    assert seconds < 10
    sentence = "has no topic transactions that user producer may access: run `make stream`"
    assert sentence in capsys.readouterr().err


def test_a_source_that_cannot_stream_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert producer.main(["--source", "paysim1"]) == 1
    assert "paysim1" in capsys.readouterr().err


def test_no_validation_service_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLLGATE_PORT_BASE", "50000")
        assert stream.main(["--seconds", "1"]) == 1
    assert "run `make stream`" in capsys.readouterr().err
