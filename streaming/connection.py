"""The check of a connection to Kafka: it reports what is wrong and what to do."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.settings import Kafka
from contracts.topics import ACCESS, KafkaUser, Topic

_CHECK_SECONDS = 8.0


class StreamError(RuntimeError):
    """Raised when a client cannot work with Kafka; the message has the cause and the remedy."""


class StreamAwayError(StreamError, ConnectionError):
    """Raised when no broker answers; the same call may succeed later."""


def offsets(kafka: Kafka, user: KafkaUser, topic: Topic) -> dict[int, tuple[int, int]]:
    """Return the oldest and the next offset of each partition of a topic that the user reads.

    Raises:
        StreamError: as `check`.
    """
    check(kafka, user)
    consumer = Consumer({**kafka.login(user), "group.id": user})
    try:
        return {
            number: consumer.get_watermark_offsets(TopicPartition(topic.name, number), timeout=10)
            for number in range(topic.partitions)
        }
    finally:
        consumer.close()


def check(kafka: Kafka, user: KafkaUser) -> None:
    """Check within ten seconds that the user can sign in and that its topics exist.

    Raises:
        StreamError: when no broker answers, the password is wrong, or a topic of the user does not
            exist or is not accessible.
    """
    errors: list[KafkaError] = []
    # The errors become a sentence, so the client does not log them.
    client = AdminClient({**kafka.login(user), "error_cb": errors.append, "log_level": 0})
    deadline = time.monotonic() + _CHECK_SECONDS
    topics = None
    while topics is None:
        try:
            topics = client.list_topics(timeout=1).topics
        except KafkaException as problem:
            client.poll(0)
            if any(error.code() == KafkaError._AUTHENTICATION for error in errors):
                raise StreamError(
                    f"Kafka at {kafka.bootstrap_servers} refuses the password of user {user}: "
                    "correct TOLLGATE_KAFKA__PASSWORDS, or unset it and run `make stream`."
                ) from problem
            if time.monotonic() > deadline:
                raise StreamAwayError(
                    f"No Kafka answers at {kafka.bootstrap_servers}: run `make stream`, or correct "
                    "TOLLGATE_KAFKA__BOOTSTRAP_SERVERS."
                ) from problem
    declared = (*ACCESS[user].reads, *ACCESS[user].writes)
    if missing := [topic.name for topic in declared if topic.name not in topics]:
        raise StreamError(
            f"Kafka at {kafka.bootstrap_servers} has no topic {', '.join(missing)} that user {user}"
            " may access: run `make stream`, which creates topics and grants."
        )
