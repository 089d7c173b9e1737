"""Consume, transform and produce in one Kafka transaction: each message has one outcome.

Decision 21 says why this loop is not a library's.
"""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from contracts.settings import Kafka
from contracts.topics import KafkaUser, Topic

_WAIT_SECONDS = 0.5
_COMMIT_SECONDS = 0.1
_COMMIT_MESSAGES = 2000
_COMMIT_BYTES = 8 * 2**20
_KAFKA_SECONDS = 60.0
"""Kafka's own limit of a transaction."""
_HANG_SECONDS = 10.0
"""Longest duration of a commit, which takes some milliseconds."""


@dataclass(frozen=True)
class Outcome:
    """A message to produce, and the label under which it is counted."""

    topic: Topic
    key: bytes | None
    value: bytes
    label: str
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class _Transaction:
    """The open transaction: the next offset of each partition, and what was produced."""

    began: float = 0.0
    size: int = 0
    offsets: dict[int, int] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)

    def is_full(self) -> bool:
        return (
            len(self.labels) >= _COMMIT_MESSAGES
            or self.size >= _COMMIT_BYTES
            or time.monotonic() - self.began >= _COMMIT_SECONDS
        )


class ExactlyOnce:
    """One instance of a service that turns each message of a topic into one outcome.

    The instances of a user share the partitions. The name of an instance is unique: Kafka refuses
    an earlier process with the same name.
    """

    def __init__(
        self,
        kafka: Kafka,
        user: KafkaUser,
        instance: str,
        topic: Topic,
        transform: Callable[[Message], Outcome],
        committed: Callable[[Sequence[str]], None],
    ) -> None:
        """Prepare the clients; `committed` receives the labels of each committed transaction."""
        name = f"{user}-{instance}"
        self._topic, self._transform, self._committed = topic, transform, committed
        self._consumer = Consumer(
            {
                **kafka.login(user),
                "group.id": user,
                # The partitions of a killed instance move to others after six seconds.
                "session.timeout.ms": 6000,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "queued.max.messages.kbytes": 16 * 1024,
            }
        )
        self._producer = Producer(
            {
                **kafka.login(user),
                # The same name aborts the open transaction of a killed predecessor.
                "transactional.id": name,
                "linger.ms": 5,
                "message.max.bytes": 2 * topic.max_message_bytes,
                "queue.buffering.max.kbytes": 64 * 1024,
            }
        )
        self._open: _Transaction | None = None
        self._next: dict[int, int] = {}
        self.lag: dict[int, int] = {}
        """Messages that wait in each partition of this instance, once a second."""
        self.last_turn = time.monotonic()

    def run(self, stopping: Event) -> None:
        """Process messages until `stopping` is set, then commit and leave the group.

        Raises:
            KafkaException: when Kafka refuses a request and a retry does not help. Nothing of the
                open transaction is visible, and a new process continues at the committed offsets.
        """
        try:
            self._producer.init_transactions(_KAFKA_SECONDS)
            self._consumer.subscribe([self._topic.name], on_revoke=self._on_revoke)
            while not stopping.is_set():
                now = time.monotonic()
                if int(now) > int(self.last_turn):
                    self._measure_lag()
                self.last_turn = now
                message = self._consumer.poll(_COMMIT_SECONDS if self._open else _WAIT_SECONDS)
                if message is not None:
                    self._take(message)
                if self._open and self._open.is_full():
                    self._commit()
            self._commit()
        except BaseException:
            self._open = None
            with suppress(KafkaException):
                self._producer.abort_transaction(1)
            raise
        finally:
            self._consumer.close()

    def _measure_lag(self) -> None:
        """Record for each partition of this instance how many messages wait."""
        for number, offset in self._next.items():
            partition = TopicPartition(self._topic.name, number)
            _, end = self._consumer.get_watermark_offsets(partition, cached=True)
            self.lag[number] = max(end - offset, 0)

    def _take(self, message: Message) -> None:
        """Produce the outcome of a message in the open transaction."""
        if message.error():
            raise KafkaException(message.error())
        if self._open is None:
            self._producer.begin_transaction()
            self._open = _Transaction(time.monotonic())
        outcome = self._transform(message)
        while True:
            try:
                self._producer.produce(
                    outcome.topic.name,
                    outcome.value,
                    outcome.key,
                    headers=list(outcome.headers),
                )
                break
            except BufferError:  # the queue of the producer is full: wait for the broker
                self._producer.poll(0.1)
        self._open.offsets[message.partition()] = message.offset() + 1
        self._open.labels.append(outcome.label)
        self._open.size += len(outcome.value)

    def _commit(self) -> None:
        """Commit the open transaction with the offsets of its messages.

        A commit that hangs ends the process: librdkafka waits without an end for a group
        coordinator that was restarted (its issues 5456 and 5511, open in 2.16).
        """
        if self._open is None:
            return
        done = self._open
        faulthandler.dump_traceback_later(_HANG_SECONDS, exit=True)
        self._producer.send_offsets_to_transaction(
            [TopicPartition(self._topic.name, *position) for position in done.offsets.items()],
            self._consumer.consumer_group_metadata(),
            _KAFKA_SECONDS,
        )
        self._producer.commit_transaction(_KAFKA_SECONDS)
        faulthandler.cancel_dump_traceback_later()
        self._open = None
        self._next.update(done.offsets)
        self._committed(done.labels)

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Commit before another instance reads these partitions."""
        self._commit()
        for partition in partitions:
            self._next.pop(partition.partition, None)
            self.lag.pop(partition.partition, None)
