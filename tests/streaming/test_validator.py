"""The validation service as a process: outcomes, metrics, health, drain, messages that harm."""

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from contracts.settings import REPO, Settings
from contracts.topics import VALIDATED
from tests.streaming.messages import HARMFUL, send
from tests.streaming.readers import committed_messages
from tests.streaming.validators import running

pytestmark = pytest.mark.kafka
_GOLDEN = REPO / "tests" / "spark" / "golden" / "simulator"


def _page(address: str) -> str:
    return httpx.get(address, timeout=5).raise_for_status().text


def test_each_message_is_validated_or_rejected_once(kafka: Settings, tmp_path: Path) -> None:
    golden = [line for line in (_GOLDEN / "delivery.jsonl").read_bytes().splitlines() if line]
    expected = yaml.safe_load((_GOLDEN / "expected.yaml").read_text())
    reasons = dict(zip(golden, (row["reasons"] for row in expected), strict=True))
    reasons |= {message: ["unreadable_row"] for message in HARMFUL}
    log = tmp_path / "log"
    with committed_messages(kafka) as read, running(kafka, log) as (process, address):
        sent = send(kafka, list(reasons))
        deadline = time.monotonic() + 60
        rejected: dict[tuple[int, int], list[str]] = {}
        validated: list[bytes] = []
        while len(rejected) + len(validated) < len(sent):
            assert time.monotonic() < deadline, log.read_text()
            for message in read():
                if message.topic() == VALIDATED.name:
                    validated.append(message.value())
                    continue
                headers = dict(message.headers())
                place = (int(headers["partition"]), int(headers["offset"]))
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
