"""Messages that harm a reader, and how a test sends messages or has them read again."""

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from contracts.settings import Settings
from contracts.topics import TRANSACTIONS, KafkaUser, Topic

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


def send_as_validator(settings: Settings, topic: Topic, messages: list[bytes]) -> list[Message]:
    """Send messages in a transaction, as the validator does; return them as they are in Kafka."""
    sent: list[Message] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        sent.append(message)

    login = settings.kafka.login("validator")
    producer = Producer({**login, "transactional.id": "validator-test"})
    producer.init_transactions(30)
    producer.begin_transaction()
    for message in messages:
        producer.produce(topic.name, message, on_delivery=delivered)
    producer.commit_transaction(30)
    assert len(sent) == len(messages)
    return sent


# Kafka refuses a change of the offsets until it knows, after 6 s, that a killed member is away.
@retry(
    retry=retry_if_exception_type(KafkaException),
    stop=stop_after_delay(30),
    wait=wait_fixed(1),
    reraise=True,
)
def rewind(settings: Settings, user: KafkaUser, topic: Topic, group: str) -> None:
    """Set the offsets of a group back, as if its reader had ended before it committed them."""
    consumer = Consumer({**settings.kafka.login(user), "group.id": group})
    partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    try:
        for partition in partitions:
            partition.offset = consumer.get_watermark_offsets(partition, timeout=10)[0]
        consumer.commit(offsets=partitions, asynchronous=False)
    finally:
        consumer.close()
