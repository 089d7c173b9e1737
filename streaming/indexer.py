"""The indexer of rejects: ``python -m streaming.indexer --port 15414``.

It reads `transactions.rejected` and indexes each reject in OpenSearch. The id of a document is the
position of its message, so that a message that is read again changes nothing. SIGTERM ends it after
the batch that it has read.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from datetime import datetime
from threading import Event
from typing import Any

import msgspec
import opensearchpy
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from opensearchpy.helpers import streaming_bulk
from prometheus_client import CollectorRegistry, Counter
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from contracts.settings import REPO, OpenSearch, Settings, load_settings
from contracts.topics import REJECTED
from streaming.connection import StreamError, check
from streaming.metrics import Lag, serve
from streaming.service import run_service

TEMPLATE = json.loads((REPO / "streaming" / "opensearch" / "rejects.json").read_text())
"""The index template: one index for each month of arrival, with the alias `rejects`."""
_BATCH_MESSAGES = 500
_BATCH_SECONDS = 0.5
_REQUEST_BYTES = 8 * 2**20
_REQUEST_SECONDS = 30
_START_SECONDS = 5
_LONGEST_PAUSE_SECONDS = 15
_LONGEST_OUTAGE_MILLISECONDS = 24 * 60 * 60 * 1000
"""Kafka's longest time without a poll; after a longer outage the process starts again."""
_MALFORMED = 400
"""The status of a document that does not fit the mappings. Any other one may pass later."""


class Indexer:
    """Indexes the rejects of the partitions that the group gives to this instance."""

    def __init__(self, settings: Settings) -> None:
        """Prepare the clients, and install the index template.

        Raises:
            StreamError: when Kafka or OpenSearch does not answer or refuses the user, or an index
                of rejects has other types.
        """
        check(settings.kafka, "sink")
        self._settings = settings.opensearch
        self._client = _connect(self._settings)
        self._consumer = Consumer(
            {
                **settings.kafka.login("sink"),
                "group.id": "sink",
                "session.timeout.ms": 6000,
                "max.poll.interval.ms": _LONGEST_OUTAGE_MILLISECONDS,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                # The end of a partition is behind a marker of its last transaction.
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": 16 * 1024,
            }
        )
        self._next: dict[int, int] = {}
        self._lag: dict[int, int] = {}
        self.problem: str | None = None
        """Why nothing is indexed at present."""
        self.registry = CollectorRegistry()
        self.registry.register(Lag(self._lag))
        self._indexed = Counter(
            "tollgate_stream_indexed", "Rejects that OpenSearch indexed.", registry=self.registry
        )
        self._refused = Counter(
            "tollgate_stream_index_refusals",
            "Rejects that do not fit the index; the log has their positions.",
            registry=self.registry,
        )

    def run(self, stopping: Event) -> None:
        """Index rejects until `stopping` is set, and wait while OpenSearch is away.

        Raises:
            KafkaException: when Kafka refuses a request. A new process continues at the committed
                offsets.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(opensearchpy.TransportError),
            wait=wait_exponential(multiplier=0.5, max=_LONGEST_PAUSE_SECONDS),
            stop=stop_when_event_set(stopping),
            sleep=sleep_using_event(stopping),
            before_sleep=self._report,
            reraise=True,
        )
        try:
            self._consumer.subscribe([REJECTED.name], on_revoke=self._on_revoke)
            while not stopping.is_set():
                messages, positions = self._read()
                if messages:
                    refusals = retrying(self._index, messages)
                    self._count(len(messages), refusals)
                if positions:
                    self._commit(positions)
        except opensearchpy.TransportError:
            # It stops during an outage; the rejects wait in Kafka.
            if not stopping.is_set():
                raise
        finally:
            self._consumer.close()

    def _read(self) -> tuple[list[Message], dict[int, int]]:
        """Return messages that arrived, and the next offset of each partition after them."""
        messages, positions = list[Message](), dict[int, int]()
        for message in self._consumer.consume(_BATCH_MESSAGES, _BATCH_SECONDS):
            error = message.error()
            if error is None:
                messages.append(message)
                self._next.setdefault(message.partition(), message.offset())
                positions[message.partition()] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                positions[message.partition()] = message.offset()
            else:
                raise KafkaException(error)
        return messages, positions

    def _index(self, messages: Sequence[Message]) -> dict[str, str]:
        """Index messages; return why some do not fit the index, by document id.

        Raises:
            opensearchpy.TransportError: when OpenSearch is away, or refuses for another reason.
        """
        actions, refusals = list[dict[str, Any]](), dict[str, str]()
        for message in messages:
            try:
                actions.append(_action(message))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
                refusals[_document_id(message)] = str(problem)
        results = streaming_bulk(
            self._client, actions, max_chunk_bytes=_REQUEST_BYTES, raise_on_error=False
        )
        for is_indexed, result in results:
            if is_indexed:
                continue
            answer = result["index"]
            if answer["status"] != _MALFORMED:
                raise opensearchpy.TransportError(
                    answer["status"], answer["error"]["type"], {"error": answer["error"]}
                )
            # What follows would show the value.
            why = answer["error"]["reason"].partition(" Preview of field's value")[0]
            refusals[answer["_id"]] = why
        return refusals

    def _count(self, messages: int, refusals: dict[str, str]) -> None:
        for document, why in refusals.items():
            sys.stderr.write(f"The reject {document} is not indexed: {why}\n")
        self._refused.inc(len(refusals))
        self._indexed.inc(messages - len(refusals))
        if self.problem:
            sys.stderr.write(f"OpenSearch at {self._settings.url} answers again.\n")
            self.problem = None

    def _commit(self, positions: dict[int, int]) -> None:
        self._consumer.commit(
            offsets=[TopicPartition(REJECTED.name, *position) for position in positions.items()],
            asynchronous=False,
        )
        self._next.update(positions)
        self._measure_lag()

    def _measure_lag(self) -> None:
        for number, offset in self._next.items():
            partition = TopicPartition(REJECTED.name, number)
            _, end = self._consumer.get_watermark_offsets(partition, cached=True)
            self._lag[number] = max(end - offset, 0)

    def _report(self, attempt: RetryCallState) -> None:
        """Write what is wrong, once; the pauses between the tries grow."""
        problem = attempt.outcome.exception() if attempt.outcome else None
        if isinstance(problem, opensearchpy.TransportError):
            sentence = f"{_sentence(problem, self._settings)} Rejects wait in Kafka meanwhile."
            if sentence != self.problem:
                sys.stderr.write(f"{sentence}\n")
            self.problem = sentence
        self._measure_lag()

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._next.pop(partition.partition, None)
            self._lag.pop(partition.partition, None)


def _connect(settings: OpenSearch) -> opensearchpy.OpenSearch:
    """Return a client after the index template and the fields of existing indices are up to date.

    Raises:
        StreamError: when OpenSearch does not answer, or refuses the user or the fields.
    """
    client = opensearchpy.OpenSearch(
        settings.url, http_auth=settings.login, timeout=_REQUEST_SECONDS, max_retries=0
    )
    seconds = {"request_timeout": _START_SECONDS}
    mappings = TEMPLATE["template"]["mappings"]
    try:
        client.indices.put_index_template(name="rejects", body=TEMPLATE, **seconds)
        # A template counts for new indices only.
        client.indices.put_mapping(
            index="rejects-*", body=mappings, allow_no_indices=True, **seconds
        )
    except opensearchpy.TransportError as problem:
        raise StreamError(_sentence(problem, settings)) from problem
    return client


def _sentence(problem: opensearchpy.TransportError, settings: OpenSearch) -> str:
    """Return what is wrong with OpenSearch, and what to do."""
    if isinstance(problem, opensearchpy.ConnectionError):
        return (
            f"No OpenSearch answers at {settings.url}: run `make stream`, or correct "
            "TOLLGATE_OPENSEARCH__URL."
        )
    refusals = (opensearchpy.AuthenticationException, opensearchpy.AuthorizationException)
    if isinstance(problem, refusals):
        return (
            f"OpenSearch at {settings.url} refuses user {settings.username}: correct "
            "TOLLGATE_OPENSEARCH__USERNAME and __PASSWORD, or grant it the indices rejects-*."
        )
    # A proxy answers in another form.
    error = problem.info.get("error") if isinstance(problem.info, dict) else None
    why = error["reason"] if isinstance(error, dict) else problem.error
    return f"OpenSearch at {settings.url} refuses a request ({problem.status_code}): {why}."


def _document_id(message: Message) -> str:
    return f"{message.topic()}-{message.partition()}-{message.offset()}"


def _action(message: Message) -> dict[str, Any]:
    """Return the action that indexes a message.

    Raises:
        msgspec.MsgspecError: when the message is no JSON object with a time of arrival.
    """
    reject = msgspec.json.decode(message.value() or b"", type=dict[str, Any])
    arrived = msgspec.convert(reject.get("arrived_at"), datetime)
    return {
        "_op_type": "index",
        "_index": f"rejects-{arrived:%Y.%m}",
        "_id": _document_id(message),
        "_source": reject,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run one instance; return its exit code."""
    parser = argparse.ArgumentParser(prog="streaming.indexer", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of /metrics and /health")
    options = parser.parse_args(argv)
    # Its errors become sentences.
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)

    def run(stopping: Event) -> None:
        indexer = Indexer(load_settings())
        serve(options.port, indexer.registry, lambda: indexer.problem)
        indexer.run(stopping)

    return run_service(
        "indexer",
        options.port,
        run,
        afterwards="No reject is lost: start it again, and it continues at the committed offsets.",
    )


if __name__ == "__main__":
    raise SystemExit(main())
