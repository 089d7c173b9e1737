"""A topic read in batches, for services that store what they read elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from threading import Event
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from contracts.settings import Kafka
from contracts.topics import KafkaUser, Topic
from streaming.connection import check

_MESSAGES: Final = 500
_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 15
_LONGEST_OUTAGE_MILLISECONDS: Final = 24 * 60 * 60 * 1000
"""Kafka's longest time without a poll; after a longer outage the process starts again."""


class StorageAwayError(Exception):
    """Raised when a batch cannot be stored now; the message is a sentence with the cause."""


class Batches:
    """Stores the messages of a topic, and commits their offsets afterwards.

    After a crash, messages that were stored and not committed come again.
    """

    def __init__(
        self, kafka: Kafka, user: KafkaUser, topic: Topic, store: Callable[[list[Message]], None]
    ) -> None:
        """Prepare the consumer of `user`, whose group has the same name.

        `store` stores a batch, or raises StorageAwayError.

        Raises:
            StreamError: when Kafka does not answer, or refuses the user.
        """
        check(kafka, user)
        self._topic, self._store = topic, store
        self._consumer = Consumer(
            {
                **kafka.login(user),
                "group.id": user,
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
        self.lag: dict[int, int] = {}
        """Messages that wait, by partition."""
        self.problem: str | None = None
        """Why nothing is stored at present."""

    def run(self, stopping: Event) -> None:
        """Store messages until `stopping` is set, and wait while the storage is away.

        Raises:
            KafkaException: when Kafka refuses a request. A new process continues at the committed
                offsets.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(StorageAwayError),
            wait=wait_exponential(multiplier=0.5, max=_LONGEST_PAUSE_SECONDS),
            stop=stop_when_event_set(stopping),
            sleep=sleep_using_event(stopping),
            before_sleep=self._report,
            reraise=True,
        )
        try:
            self._consumer.subscribe([self._topic.name], on_revoke=self._on_revoke)
            while not stopping.is_set():
                messages, positions = self._read()
                if messages:
                    retrying(self._store, messages)
                    self._recover()
                if positions:
                    self._commit(positions)
        except StorageAwayError:
            pass  # it stops during an outage; the messages wait in Kafka
        finally:
            self._consumer.close()

    def _read(self) -> tuple[list[Message], dict[int, int]]:
        """Return messages that arrived, and the next offset of each partition after them."""
        messages, positions = list[Message](), dict[int, int]()
        for message in self._consumer.consume(_MESSAGES, _SECONDS):
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

    def _commit(self, positions: dict[int, int]) -> None:
        offsets = [TopicPartition(self._topic.name, *position) for position in positions.items()]
        self._consumer.commit(offsets=offsets, asynchronous=False)
        self._next.update(positions)
        self._measure_lag()

    def _measure_lag(self) -> None:
        for number, offset in self._next.items():
            partition = TopicPartition(self._topic.name, number)
            _, end = self._consumer.get_watermark_offsets(partition, cached=True)
            self.lag[number] = max(end - offset, 0)

    def _report(self, attempt: RetryCallState) -> None:
        """Write what is wrong, once; the pauses between the tries grow."""
        sentence = str(attempt.outcome.exception()) if attempt.outcome else None
        if sentence != self.problem:
            sys.stderr.write(f"{sentence}\n")
        self.problem = sentence
        self._measure_lag()

    def _recover(self) -> None:
        if self.problem:
            sys.stderr.write(f"Messages of {self._topic.name} are stored again.\n")
            self.problem = None

    def _on_revoke(self, _: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self._next.pop(partition.partition, None)
            self.lag.pop(partition.partition, None)


def position(message: Message) -> str:
    """Return the position of a message, as `transactions.validated-2-17`."""
    return f"{message.topic()}-{message.partition()}-{message.offset()}"
