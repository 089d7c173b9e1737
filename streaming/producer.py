"""Send payments to Kafka: ``python -m simulator --stream | python -m streaming.producer``.

Each line of standard input becomes one message of `transactions`, unchanged.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from contracts.settings import Kafka, SettingsError, load_settings
from contracts.topics import TRANSACTIONS
from sources.declaration import Source
from sources.errors import SourceError
from sources.registry import source
from sources.rules import columns_of
from streaming.connection import StreamError, check
from streaming.mapped import UnreadableMappingError, check_mapping

_PROGRESS_SECONDS = 5.0
_FLUSH_SECONDS = 60.0


@dataclass
class Sent:
    """How many messages Kafka has acknowledged and refused, and why it refused the first one."""

    acknowledged: int = 0
    refused: int = 0
    refusal: str = ""

    def refuse(self, reason: str) -> None:
        """Count a refused message."""
        self.refused += 1
        self.refusal = self.refusal or reason


def send(
    lines: Iterable[bytes],
    kafka: Kafka,
    declared: Source,
    progress: Callable[[Sent], None] = lambda sent: None,
) -> Sent:
    """Send each line as a message of a source; return what Kafka has acknowledged and refused.

    The key is the payer, so that the payments of a payer stay in order in one partition; a message
    whose payer cannot be read has no key. `progress` receives the numbers every few seconds.

    Raises:
        StreamError: when Kafka refuses the user, lacks the topic, or acknowledges nothing for a
            minute.
        UnreadableMappingError: when the stream cannot read the source.
    """
    payer_of = _payer(declared)
    check(kafka, "producer")
    limit = {"message.max.bytes": TRANSACTIONS.max_message_bytes}
    producer = Producer(
        {**kafka.login("producer"), **limit, "enable.idempotence": True, "linger.ms": 5}
    )
    sent, shown = Sent(), time.monotonic()

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is None:
            sent.acknowledged += 1
        else:
            sent.refuse(error.str())

    for line in lines:
        message = line.rstrip(b"\r\n")
        while True:
            try:
                producer.produce(
                    TRANSACTIONS.name, message, payer_of(message), on_delivery=delivered
                )
                break
            except BufferError:  # the queue is full: wait for acknowledgements
                producer.poll(0.1)
            except KafkaException as problem:
                sent.refuse(f"a message of {len(message):,} bytes: {problem.args[0].str()}")
                break
        producer.poll(0)
        if time.monotonic() - shown >= _PROGRESS_SECONDS:
            progress(sent)
            shown = time.monotonic()
    if waiting := producer.flush(_FLUSH_SECONDS):
        raise StreamError(
            f"Kafka at {kafka.bootstrap_servers} has not acknowledged {waiting:,} messages in"
            f" {_FLUSH_SECONDS:.0f} s: see `make logs SERVICE=kafka`, then send them again."
        )
    return sent


def _payer(declared: Source) -> Callable[[bytes], bytes | None]:
    """Return the function that reads the payer of a message, None when it cannot be read.

    Raises:
        UnreadableMappingError: when the stream cannot read the source.
    """
    fields = columns_of(check_mapping(declared).mapping["customer_id"])
    payer = msgspec.defstruct(
        "Payer", [("id", str | int | None, msgspec.field(name=min(fields), default=None))]
    )
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(payer).decode

    def read(message: bytes) -> bytes | None:
        try:
            found = decode(message).id
        except (msgspec.DecodeError, RecursionError):
            return None
        return None if found is None else str(found).encode()

    return read


def main(argv: Sequence[str] | None = None) -> int:
    """Send standard input; return 1 when a message is not acknowledged."""
    parser = argparse.ArgumentParser(prog="streaming.producer", description=__doc__)
    parser.add_argument("--source", default="simulator", help="the source of the messages")
    name = parser.parse_args(argv).source

    def show(sent: Sent) -> None:
        print(f"\r{sent.acknowledged:,} messages sent", end="", file=sys.stderr, flush=True)

    try:
        sent = send(sys.stdin.buffer, load_settings().kafka, source(name), show)
    except (StreamError, SettingsError, SourceError, UnreadableMappingError) as problem:
        sys.stderr.write(f"\n{problem}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    show(sent)
    sys.stderr.write("\n")
    if sent.refused:
        sys.stderr.write(f"Kafka refused {sent.refused:,} messages. The first: {sent.refusal}\n")
    return int(bool(sent.refused))


if __name__ == "__main__":
    raise SystemExit(main())
