"""A reader of what the validation service commits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, Message, TopicPartition

from contracts.settings import Settings
from contracts.topics import REJECTED, VALIDATED


@contextmanager
def committed_messages(settings: Settings) -> Iterator[Callable[[], list[Message]]]:
    """Give a function that returns the messages that were committed since its last call.

    It reads `transactions.validated` and `transactions.rejected` from their present ends.
    """
    config = {"group.id": "reader", "isolation.level": "read_committed"}
    consumer = Consumer({**settings.kafka.login("reader"), **config})
    partitions = [
        TopicPartition(topic.name, number)
        for topic in (VALIDATED, REJECTED)
        for number in range(topic.partitions)
    ]
    for partition in partitions:
        partition.offset = consumer.get_watermark_offsets(partition, timeout=10)[1]
    consumer.assign(partitions)

    def read() -> list[Message]:
        messages = consumer.consume(10_000, timeout=0.5)
        assert [message.error() for message in messages if message.error()] == []
        return messages

    yield read
    consumer.close()
