"""Messages that harm a reader, and how a test sends messages."""

from confluent_kafka import KafkaError, Message, Producer

from contracts.settings import Settings
from contracts.topics import TRANSACTIONS

HARMFUL = (
    b'"' + b"x" * 3_000_000 + b'"',
    b"[" * 100_000 + b"]" * 100_000,
    b'{"transaction_id": "\xff\xfe"}',
    b"\x00" * 1000,
    b"",
)
"""A message of 3 MB, one that is nested deeply, one that is not UTF-8, NUL bytes, an empty one."""


def send(settings: Settings, messages: list[bytes]) -> dict[tuple[int, int], bytes]:
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
