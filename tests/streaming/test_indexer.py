"""The indexer of rejects as a process: search, repeats, outages, what does not fit the index.

Slow, about 30 s: it starts the broker and OpenSearch, and OpenSearch again after it was killed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition

from contracts.settings import REPO, Settings
from contracts.topics import REJECTED
from embedded import platform
from embedded.services import stream
from streaming.batches import position
from streaming.validation import Rejected, Validator
from tests.streaming.conftest import ARRIVED, Day
from tests.streaming.messages import rewind, send_as_validator
from tests.streaming.validators import running

pytestmark = pytest.mark.kafka
_INDEX = "rejects-2026.06"
_PEOPLE = ("card_number", "customer_name", "email", "address")


@pytest.fixture(scope="session")
def rejects(validator: Validator, dirty_day: Day) -> list[bytes]:
    """Return the messages of `transactions.rejected` that a day with much dirt leads to."""
    verdicts = (validator.validate(message, ARRIVED) for message in dirty_day.messages)
    return [verdict.message for verdict in verdicts if isinstance(verdict, Rejected)]


def _send(settings: Settings, messages: list[bytes]) -> dict[str, bytes]:
    """Send messages in a transaction, as the validator does; return them by document id."""
    sent = send_as_validator(settings, REJECTED, messages)
    return {position(message): message.value() or b"" for message in sent}


def _search(settings: Settings, query: dict[str, Any], index: str = "rejects") -> dict[str, Any]:
    """Return the documents that a query finds, by id."""
    url = f"{settings.opensearch.url}/{index}"
    body = {"query": query, "size": 10_000}
    answer = httpx.post(f"{url}/_search", json=body, timeout=30).raise_for_status().json()
    return {hit["_id"]: hit["_source"] for hit in answer["hits"]["hits"]}


def _documents(settings: Settings, index: str = "rejects") -> dict[str, Any]:
    """Return all documents that were indexed, by id."""
    httpx.post(f"{settings.opensearch.url}/{index}/_refresh", timeout=30).raise_for_status()
    return _search(settings, {"match_all": {}}, index)


def _metrics(address: str) -> dict[str, float]:
    """Return each metric of the service, summed over its labels."""
    sums: Counter[str] = Counter()
    for line in httpx.get(f"{address}/metrics", timeout=5).text.splitlines():
        if line.startswith("tollgate_"):
            name, value = line.rsplit(" ", 1)
            sums[name.partition("{")[0]] += float(value)
    return dict(sums)


def _wait(holds: Callable[[], bool], log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def _has_read(address: str, count: int) -> Callable[[], bool]:
    """Return whether the service has read so many rejects, and no other one waits."""

    def has_read() -> bool:
        metrics = _metrics(address)
        done = metrics["tollgate_stream_indexed_total"]
        done += metrics["tollgate_stream_index_refusals_total"]
        return done == count and metrics.get("tollgate_stream_lag") == 0

    return has_read


def test_rejects_are_searchable_and_a_repeat_changes_nothing(
    opensearch: Settings, rejects: list[bytes], dirty_day: Day, tmp_path: Path
) -> None:
    """Messages that do not fit the index are reported, and the others are indexed."""
    sent = _send(opensearch, rejects)
    log = tmp_path / "log"
    with running(opensearch, log, stream.indexer) as (process, address):
        _wait(_has_read(address, len(sent)), log)
        assert httpx.get(f"{address}/health").text == "healthy\n"
        process.terminate()
        assert process.wait(20) == 0
    documents = _documents(opensearch)
    assert len(documents) > 200
    assert documents == {name: json.loads(value) for name, value in sent.items()}

    reasons = {reason for document in documents.values() for reason in document["reasons"]}
    assert len(reasons) > 5
    noon = "2026-01-10T12:00:00Z"
    searches: list[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
        *(({"term": {"reasons": r}}, lambda d, r=r: r in d["reasons"]) for r in reasons),
        ({"term": {"field": "currency"}}, lambda d: d["field"] == "currency"),
        ({"term": {"source_system": "simulator"}}, lambda d: d["source_system"] == "simulator"),
        ({"range": {"event_at": {"lt": noon}}}, lambda d: (d["event_at"] or noon) < noon),
        ({"range": {"arrived_at": {"gte": ARRIVED.isoformat()}}}, lambda _: True),
        ({"term": {"payload.country": "US"}}, lambda d: d["payload"]["country"] == "US"),
        ({"match": {"sentence": "currency"}}, lambda d: "currency" in d["sentence"]),
    ]
    for query, holds in searches:
        expected = {name for name, document in documents.items() if holds(document)}
        assert expected, query
        assert set(_search(opensearch, query)) == expected, query
    _has_no_person(documents, dirty_day)

    before = _documents(opensearch, _INDEX)
    rewind(opensearch, "sink", REJECTED, "sink")
    reject = json.loads(rejects[0])
    unfit = [
        b"no JSON",
        json.dumps(reject | {"secret": "4809124250899617"}).encode(),
        json.dumps(reject | {"event_at": "secret"}).encode(),
        json.dumps(reject | {"arrived_at": None}).encode(),
    ]
    others = _send(opensearch, [*unfit, rejects[0]])
    with running(opensearch, log, stream.indexer) as (process, address):
        _wait(_has_read(address, len(sent) + len(others)), log)
        assert _metrics(address)["tollgate_stream_index_refusals_total"] == len(unfit)
        process.terminate()
        assert process.wait(20) == 0
    written = log.read_text()
    for name in (name for name, value in others.items() if value in unfit):
        assert f"The reject {name} is not indexed: " in written
    assert "480912" not in written
    assert "'secret'" not in written
    (new,) = (name for name, value in others.items() if value == rejects[0])
    after = _documents(opensearch, _INDEX)
    assert after == before | {new: reject}


def _has_no_person(documents: dict[str, Any], day: Day) -> None:
    """Check that no document shows a person of the world that sent the messages."""
    people = set[str]()
    for message in day.messages:
        try:
            row = json.loads(message)
        except ValueError:
            continue
        people |= {str(row[name]) for name in _PEOPLE if row.get(name)}
    shown = json.dumps(documents, ensure_ascii=False)
    assert len(people) > 1000
    assert [value for value in people if value in shown] == []


def test_rejects_wait_while_opensearch_is_away_and_are_indexed_once(
    opensearch: Settings, rejects: list[bytes], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    half = len(rejects) // 2
    with running(opensearch, log, stream.indexer) as (process, address):
        sent = _send(opensearch, rejects[:half])
        _kill_opensearch(opensearch)
        sent |= _send(opensearch, rejects[half:])
        _wait(lambda: httpx.get(f"{address}/health").status_code == 503, log, 20)
        sentence = httpx.get(f"{address}/health").text
        assert "No OpenSearch answers at" in sentence
        assert "Rejects wait in Kafka" in sentence
        assert _metrics(address)["tollgate_stream_lag"] > 0
        _wait(_has_read(address, len(sent)), log)
        assert httpx.get(f"{address}/health").text == "healthy\n"
        assert "Messages of transactions.rejected are stored again" in log.read_text()
        process.terminate()
        assert process.wait(20) == 0
    documents = _documents(opensearch)
    assert documents == {name: json.loads(value) for name, value in sent.items()}


def test_rejects_that_a_blocked_index_refuses_wait_too(
    opensearch: Settings, rejects: list[bytes], tmp_path: Path
) -> None:
    """SIGTERM ends the indexer meanwhile, and no offset is committed."""
    log = tmp_path / "log"
    with running(opensearch, log, stream.indexer) as (process, address):
        blocked = {"settings": {"index.blocks.write": True}}
        index = f"{opensearch.opensearch.url}/{_INDEX}"
        httpx.put(index, json=blocked, timeout=30).raise_for_status()
        _send(opensearch, rejects[:10])
        _wait(lambda: httpx.get(f"{address}/health").status_code == 503, log, 20)
        assert "blocked by: [FORBIDDEN/8/index write" in httpx.get(f"{address}/health").text
        process.terminate()
        assert process.wait(20) == 0
    assert "Traceback" not in log.read_text()
    login = opensearch.kafka.login("sink")
    consumer = Consumer({**login, "group.id": "sink"})
    waiting = 0
    for number in range(REJECTED.partitions):
        partition = TopicPartition(REJECTED.name, number)
        [committed] = consumer.committed([partition], timeout=10)
        start, end = consumer.get_watermark_offsets(partition, timeout=10)
        waiting += end - max(committed.offset, start)
    consumer.close()
    assert waiting >= 10


def test_an_index_with_other_types_is_reported(opensearch: Settings) -> None:
    other = {"mappings": {"properties": {"original_bytes": {"type": "keyword"}}}}
    index = f"{opensearch.opensearch.url}/rejects-2020.01"
    httpx.put(index, json=other, timeout=30).raise_for_status()
    run = _run("--port", "1")
    assert run.returncode == 1
    assert "cannot be changed from type [keyword] to [long]" in run.stderr
    assert "Traceback" not in run.stderr


def _kill_opensearch(settings: Settings) -> None:
    """Kill the JVM of the node; the supervisor of the test platform starts another one."""
    leader = platform.read_status(settings)["services"]["opensearch"]["pid"]
    for child in psutil.Process(leader).children():
        os.kill(child.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("url", "port", "sentence"),
    [
        ("http://127.0.0.1:1", "1", "No OpenSearch answers at http://127.0.0.1:1: run"),
        (None, "{kafka}", "cannot be used"),
    ],
)
def test_an_indexer_that_cannot_start_says_why_within_ten_seconds(
    opensearch: Settings,
    monkeypatch: pytest.MonkeyPatch,
    url: str | None,
    port: str,
    sentence: str,
) -> None:
    if url:
        monkeypatch.setenv("TOLLGATE_OPENSEARCH__URL", url)
    run = _run("--port", port.format(kafka=opensearch.port("kafka")))
    assert run.returncode == 1
    assert sentence in run.stderr
    assert "Traceback" not in run.stderr


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what the service does until it ends, within ten seconds."""
    return subprocess.run(
        [sys.executable, "-m", "streaming.indexer", *arguments],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
