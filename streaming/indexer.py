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
from confluent_kafka import Message
from opensearchpy.helpers import streaming_bulk
from prometheus_client import CollectorRegistry, Counter

from contracts.settings import REPO, OpenSearch, Settings, load_settings
from contracts.topics import REJECTED
from streaming.batches import Batches, StorageAwayError, position
from streaming.connection import StreamError
from streaming.metrics import Lag, serve
from streaming.service import run_service

TEMPLATE = json.loads((REPO / "streaming" / "opensearch" / "rejects.json").read_text())
"""The index template: one index for each month of arrival, with the alias `rejects`."""
_REQUEST_BYTES = 8 * 2**20
_REQUEST_SECONDS = 30
_START_SECONDS = 5
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
        self._settings = settings.opensearch
        self.batches = Batches(settings.kafka, "sink", REJECTED, self._store)
        self._client = _connect(self._settings)
        self.registry = CollectorRegistry()
        self.registry.register(Lag(self.batches.lag))
        self._indexed = Counter(
            "tollgate_stream_indexed", "Rejects that OpenSearch indexed.", registry=self.registry
        )
        self._refused = Counter(
            "tollgate_stream_index_refusals",
            "Rejects that do not fit the index; the log has their positions.",
            registry=self.registry,
        )

    def _store(self, messages: Sequence[Message]) -> None:
        try:
            refusals = self._index(messages)
        except opensearchpy.TransportError as problem:
            sentence = f"{_sentence(problem, self._settings)} Rejects wait in Kafka meanwhile."
            raise StorageAwayError(sentence) from problem
        for document, why in refusals.items():
            sys.stderr.write(f"The reject {document} is not indexed: {why}\n")
        self._refused.inc(len(refusals))
        self._indexed.inc(len(messages) - len(refusals))

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
                refusals[position(message)] = str(problem)
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
        "_id": position(message),
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
        serve(options.port, indexer.registry, lambda: indexer.batches.problem)
        indexer.batches.run(stopping)

    return run_service(
        "indexer",
        options.port,
        run,
        afterwards="No reject is lost: start it again, and it continues at the committed offsets.",
    )


if __name__ == "__main__":
    raise SystemExit(main())
