"""The validation service: ``python -m streaming.validator --instance 1 --port 15411``.

It reads `transactions`, and writes each message to `transactions.validated` or, with reasons and a
masked payload, to `transactions.rejected`. SIGTERM commits the open transaction and ends it.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Event

from confluent_kafka import Message

from contracts.settings import Settings, load_settings
from contracts.topics import (
    OFFSET_HEADER,
    PARTITION_HEADER,
    REJECTED,
    TIME_HEADER,
    TRANSACTIONS,
    VALIDATED,
)
from sources.errors import SourceError
from sources.registry import source
from streaming.connection import check
from streaming.exactly_once import ExactlyOnce, Outcome
from streaming.mapped import UnreadableMappingError
from streaming.metrics import Lag, Metrics, serve
from streaming.service import run_service
from streaming.validation import Valid, Validator

_STALE_SECONDS = 15.0
_VALID = "valid"


class ValidationService:
    """Validates the messages of one source."""

    def __init__(self, settings: Settings, source_name: str, instance: str) -> None:
        """Prepare the rules of the source and the clients.

        Raises:
            StreamError: when Kafka refuses the user or lacks a topic.
            SourceError: when no source has this name, or its mapping file has mistakes.
            UnreadableMappingError: when the stream cannot read the source.
        """
        self._validate = Validator(source(source_name)).validate
        check(settings.kafka, "validator")
        self._metrics = Metrics()
        self._seconds = 0.0
        self._loop = ExactlyOnce(
            settings.kafka, "validator", instance, TRANSACTIONS, self._transform, self._committed
        )
        self._metrics.registry.register(Lag(self._loop.lag))

    def run(self, port: int, stopping: Event) -> None:
        """Serve the metrics, and validate until `stopping` is set.

        Raises:
            OSError: when the port is taken.
            KafkaException: when Kafka refuses a request and a retry does not help.
        """
        serve(port, self._metrics.registry, self._problem)
        self._loop.run(stopping)

    def _transform(self, message: Message) -> Outcome:
        began = time.perf_counter()
        # A compressed message may be larger than the topic allows. It is cut, so that it is
        # rejected as unreadable; as a whole it might not fit the topic of rejects.
        value = (message.value() or b"")[: TRANSACTIONS.max_message_bytes]
        arrived = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
        result = self._validate(value, arrived)
        self._seconds += time.perf_counter() - began
        headers = [
            (PARTITION_HEADER, b"%d" % message.partition()),
            (OFFSET_HEADER, b"%d" % message.offset()),
        ]
        if isinstance(result, Valid):
            headers.append((TIME_HEADER, result.time))
            return Outcome(VALIDATED, result.key, result.message, _VALID, headers)
        if result.reject.event_at is not None:
            headers.append((TIME_HEADER, str(result.reject.event_at).encode()))
        return Outcome(REJECTED, None, result.message, result.reject.reasons[0], headers)

    def _committed(self, labels: Sequence[str]) -> None:
        metrics, counts = self._metrics, Counter(labels)
        valid = counts.pop(_VALID, 0)
        metrics.messages.labels(VALIDATED.name).inc(valid)
        metrics.messages.labels(REJECTED.name).inc(counts.total())
        for reason, count in counts.items():
            metrics.rejects.labels(reason).inc(count)
        metrics.validation_seconds.inc(self._seconds)
        self._seconds = 0.0

    def _problem(self) -> str | None:
        idle = time.monotonic() - self._loop.last_turn
        if idle < _STALE_SECONDS:
            return None
        return f"A commit takes {idle:.0f} s: see the log, and whether Kafka answers."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one instance; return its exit code."""
    parser = argparse.ArgumentParser(prog="streaming.validator", description=__doc__)
    parser.add_argument("--source", default="simulator", help="the source of the messages")
    parser.add_argument("--instance", default="1", help="the name of this instance, unique")
    parser.add_argument("--port", type=int, required=True, help="of /metrics and /health")
    options = parser.parse_args(argv)

    def run(stopping: Event) -> None:
        service = ValidationService(load_settings(), options.source, options.instance)
        service.run(options.port, stopping)

    return run_service(
        "validator",
        options.port,
        run,
        afterwards="No message is lost: start it again, and it continues at the committed offsets.",
        explained=(SourceError, UnreadableMappingError),
    )


if __name__ == "__main__":
    raise SystemExit(main())
