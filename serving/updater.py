"""The updater of the online store: ``python -m serving.updater --port 15418``.

It reads `transactions.validated` and adds each payment to the online store, as the lake will have
it. So a decision knows the payments of the stream some seconds after they were validated. A payment
that is read again changes nothing. SIGTERM ends it after the batch that it has read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from threading import Event
from typing import Any, Final

import psycopg
from confluent_kafka import Message
from prometheus_client import CollectorRegistry, Counter

from contracts.settings import Settings, load_settings
from contracts.topics import VALIDATED
from serving.additions import add_streamed
from serving.payments import pseudonymised
from serving.redis_store import FILL_SECONDS, OnlineStoreError, redis_store
from serving.tokens import KeyFileError, Tokens
from sources.declaration import Source
from sources.errors import SourceError
from sources.registry import source
from streaming.batches import Batches, StorageAwayError, position
from streaming.mapped import UnreadableMappingError, check_mapping, fields_of, mapped
from streaming.metrics import Lag, serve
from streaming.service import run_service

_CONNECT_SECONDS: Final = 5
_LOCK_MILLISECONDS: Final = 5_000
"""How long a batch waits for a fill; then it says so, and tries again."""
_SILENT_MILLISECONDS: Final = 10_000
_WAIT: Final = "Payments wait in Kafka meanwhile."


class Updater:
    """Adds the payments of one source to the online store."""

    def __init__(self, settings: Settings, source_name: str) -> None:
        """Prepare the mapping of the source and the clients.

        Raises:
            StreamError: when Kafka does not answer, or refuses the user.
            SourceError: when no source has this name, or its mapping file has mistakes.
            UnreadableMappingError: when the stream cannot read the source.
            KeyFileError: when the key of the tokens cannot be read.
        """
        self._source = source(source_name)
        check_mapping(self._source)
        self._tokens = Tokens(settings.pseudonym_key_file)
        self._warehouse = settings.warehouse
        self._redis = redis_store(settings.api, FILL_SECONDS)
        self.batches = Batches(settings.kafka, "updater", VALIDATED, self._store)
        self.registry = CollectorRegistry()
        self.registry.register(Lag(self.batches.lag))
        self._added = Counter(
            "tollgate_stream_added",
            "Messages whose payment the online store has.",
            registry=self.registry,
        )
        self._unreadable = Counter(
            "tollgate_stream_unreadable",
            "Messages without a payment; the log has their positions.",
            registry=self.registry,
        )

    def _store(self, messages: Sequence[Message]) -> None:
        payments, unreadable = list[dict[str, Any]](), dict[str, str]()
        for message in messages:
            try:
                payments.append(payment_of(message, self._source, self._tokens))
            except (ValueError, ArithmeticError) as problem:
                unreadable[position(message)] = str(problem) or type(problem).__name__
        if payments:
            self._add(payments)
        for where, why in unreadable.items():
            sys.stderr.write(f"The message {where} is no payment of {self._source.name}: {why}.\n")
        self._unreadable.inc(len(unreadable))
        self._added.inc(len(payments))

    def _add(self, payments: Sequence[dict[str, Any]]) -> None:
        where = f"Postgres at {self._warehouse.host}:{self._warehouse.port}"
        try:
            with psycopg.connect(
                self._warehouse.dsn("api"),
                connect_timeout=_CONNECT_SECONDS,
                tcp_user_timeout=_SILENT_MILLISECONDS,
                options=f"-c lock_timeout={_LOCK_MILLISECONDS}",
            ) as connection:
                add_streamed(connection, self._source.name, payments, self._redis)
        except OnlineStoreError as problem:
            raise StorageAwayError(f"{problem}. {_WAIT}") from problem
        except psycopg.errors.LockNotAvailable as problem:
            sentence = f"A fill of the online store of {self._source.name} runs. {_WAIT}"
            raise StorageAwayError(sentence) from problem
        except psycopg.OperationalError as problem:
            sentence = (
                f"{where} does not answer ({type(problem).__name__}): run `make up`, or correct"
                f" TOLLGATE_WAREHOUSE__HOST and __PORT. {_WAIT}"
            )
            raise StorageAwayError(sentence) from problem


def payment_of(message: Message, source: Source, tokens: Tokens) -> dict[str, Any]:
    """Return the payment of a message by the names of processed.transactions.

    Payments of one instant have the order of their messages, which Kafka has given a time in
    milliseconds and a number.

    Raises:
        ValueError, ArithmeticError: when the message has none.
    """
    version = source.versions[-1]
    values, _ = fields_of(message.value() or b"", version)
    sequence = message.timestamp()[1] * 1_000 + (message.offset() or 0) % 1_000
    return pseudonymised(mapped(values, source, version), source, tokens, sequence)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the updater; return its exit code."""
    parser = argparse.ArgumentParser(prog="serving.updater", description=__doc__)
    parser.add_argument("--source", default="simulator", help="the source of the payments")
    parser.add_argument("--port", type=int, required=True, help="of /metrics and /health")
    options = parser.parse_args(argv)

    def run(stopping: Event) -> None:
        updater = Updater(load_settings(), options.source)
        serve(options.port, updater.registry, lambda: updater.batches.problem)
        updater.batches.run(stopping)

    return run_service(
        "updater",
        options.port,
        run,
        afterwards="No payment is lost: start it again, and it continues at the committed offsets.",
        explained=(SourceError, UnreadableMappingError, KeyFileError),
    )


if __name__ == "__main__":
    raise SystemExit(main())
