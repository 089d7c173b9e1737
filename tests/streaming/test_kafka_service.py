"""The Kafka broker of the test platform: sign-in, grants, topics."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AdminClient,
    ConfigResource,
    NewTopic,
)
from pydantic import SecretStr

from contracts.settings import Settings
from contracts.topics import (
    ACCESS,
    ALERTS,
    KAFKA_USERS,
    REJECTED,
    TOPICS,
    TRANSACTIONS,
    KafkaUser,
    Topic,
)
from embedded.services.kafka import admin, create
from streaming.connection import StreamError, check

pytestmark = pytest.mark.kafka


def _produce(producer: Producer, topic: Topic, values: list[bytes]) -> list[KafkaError]:
    """Produce messages with the key b"customer"; return the errors."""
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            errors.append(error)

    for value in values:
        try:
            producer.produce(topic.name, value, key=b"customer", on_delivery=delivered)
        except KafkaException as refused:  # the client knows the answer of the broker already
            errors.append(refused.args[0])
    assert producer.flush(30) == 0
    return errors


def _first(settings: Settings, user: KafkaUser, topic: Topic, group: str) -> Message:
    """Return the first message or error that a consumer of the group receives."""
    config = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    consumer = Consumer({**settings.kafka.login(user), **config})
    consumer.subscribe([topic.name])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    return message


def _eventually(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("user", KAFKA_USERS)
def test_each_user_signs_in_and_finds_its_topics(kafka: Settings, user: KafkaUser) -> None:
    check(kafka.kafka, user)


def test_a_wrong_password_is_reported_within_ten_seconds(kafka: Settings) -> None:
    wrong = kafka.kafka.model_copy(update={"passwords": {"validator": SecretStr("wrong")}})
    began = time.monotonic()
    with pytest.raises(StreamError, match="refuses the password of user validator: correct TOLL"):
        check(wrong, "validator")
    assert time.monotonic() - began < 10


def test_a_client_without_a_user_is_refused(kafka: Settings) -> None:
    client = AdminClient({"bootstrap.servers": kafka.kafka.bootstrap_servers, "log_level": 0})
    with pytest.raises(KafkaException):
        client.list_topics(timeout=1)


@pytest.mark.parametrize("user", KAFKA_USERS)
def test_a_user_writes_its_topics_and_no_other(kafka: Settings, user: KafkaUser) -> None:
    producer = Producer(kafka.kafka.login(user))
    for topic in TOPICS:
        errors = _produce(producer, topic, [b"message"])
        if topic in ACCESS[user].writes:
            assert errors == []
        else:
            assert [error.code() for error in errors] == [KafkaError.TOPIC_AUTHORIZATION_FAILED]


@pytest.mark.parametrize("user", KAFKA_USERS)
def test_a_user_reads_its_topics_and_no_other(kafka: Settings, user: KafkaUser) -> None:
    writers: dict[Topic, KafkaUser] = {
        topic: writer for writer, access in ACCESS.items() for topic in access.writes
    }
    for topic in TOPICS:
        assert _produce(Producer(kafka.kafka.login(writers[topic])), topic, [b"message"]) == []
        error = _first(kafka, user, topic, group=user).error()
        if topic in ACCESS[user].reads:
            assert error is None
        else:
            refusals = {
                KafkaError.TOPIC_AUTHORIZATION_FAILED,
                KafkaError.GROUP_AUTHORIZATION_FAILED,
            }
            assert error.code() in refusals


def test_a_user_may_not_use_the_groups_and_transactions_of_another(kafka: Settings) -> None:
    error = _first(kafka, "sink", REJECTED, group="validator").error()
    assert error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    reader = Producer({**kafka.kafka.login("reader"), "transactional.id": "validator-1"})
    with pytest.raises(KafkaException, match="TRANSACTIONAL_ID_AUTHORIZATION_FAILED"):
        reader.init_transactions(10)


def test_a_user_may_not_create_a_topic(kafka: Settings) -> None:
    client = AdminClient(kafka.kafka.login("producer"))
    [future] = client.create_topics([NewTopic("mine", 1)]).values()
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        future.result(10)


def test_topics_have_the_declared_partitions_and_limits(kafka: Settings) -> None:
    client = admin(kafka)
    found = client.list_topics(timeout=10).topics
    for topic in TOPICS:
        assert len(found[topic.name].partitions) == topic.partitions
        [future] = client.describe_configs([ConfigResource("topic", topic.name)]).values()
        config = future.result(10)
        assert int(config["retention.ms"].value) == topic.retention.total_seconds() * 1000
        assert int(config["max.message.bytes"].value) == topic.max_message_bytes


def test_a_message_beyond_the_limit_is_refused(kafka: Settings) -> None:
    limit = TRANSACTIONS.max_message_bytes
    config = {**kafka.kafka.login("producer"), "message.max.bytes": 2 * limit}
    producer = Producer(config)
    assert _produce(producer, TRANSACTIONS, [b"x" * (limit - 1000)]) == []
    [error] = _produce(producer, TRANSACTIONS, [b"x" * limit])
    assert error.code() == KafkaError.MSG_SIZE_TOO_LARGE


def test_a_grant_that_is_not_declared_is_removed(kafka: Settings) -> None:
    client = admin(kafka)
    undeclared = ("TOPIC", ALERTS.name, "LITERAL", "User:sink", "*", "READ", "ALLOW")
    [future] = client.create_acls([AclBinding(*undeclared)]).values()
    future.result(10)
    same = AclBindingFilter(*undeclared)
    _eventually(lambda: len(client.describe_acls(same).result(10)) == 1)
    create(kafka)
    _eventually(lambda: client.describe_acls(same).result(10) == [])


def test_a_missing_topic_and_another_number_of_partitions_are_reported(kafka: Settings) -> None:
    client = admin(kafka)

    def exists() -> bool:
        return ALERTS.name in client.list_topics(timeout=10).topics

    [deleted] = client.delete_topics([ALERTS.name]).values()
    deleted.result(10)
    _eventually(lambda: not exists())
    with pytest.raises(StreamError, match=r"has no topic alerts that user scorer may access: run"):
        check(kafka.kafka, "scorer")
    [created] = client.create_topics([NewTopic(ALERTS.name, 1)]).values()
    created.result(10)
    _eventually(exists)
    with pytest.raises(RuntimeError, match=r"alerts has 1 partitions, .* declares 3: declare 1"):
        create(kafka)
    [deleted] = client.delete_topics([ALERTS.name]).values()
    deleted.result(10)
    _eventually(lambda: not exists())
    create(kafka)
    check(kafka.kafka, "scorer")


def test_passwords_are_in_private_files_alone(kafka: Settings) -> None:
    properties = kafka.state_dir / "kafka" / "server.properties"
    assert properties.stat().st_mode & 0o777 == 0o600
    password = (kafka.secrets_dir / "kafka_admin").read_text().strip()
    assert password in properties.read_text()
    assert password not in (kafka.state_dir / "logs" / "kafka.log").read_text()
