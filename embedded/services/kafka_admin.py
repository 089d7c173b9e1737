"""Users, grants and topics of Kafka, as `contracts.topics` declares them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from contracts.topics import ACCESS, TOPICS, KafkaUser, Topic

_SECONDS = 30.0


def declare(client: AdminClient, passwords: Mapping[KafkaUser, str]) -> None:
    """Create or update users, grants and topics, and remove grants that are not declared.

    `client` signs in as a super user.

    Raises:
        RuntimeError: when a topic has another number of partitions than declared, because a
            change would move customers to other partitions.
        KafkaException: when Kafka refuses a request.
    """
    _create_users(client, passwords)
    _grant(client)
    _create_topics(client)


def _wait(futures: Iterable[Future[Any]]) -> None:
    for future in futures:
        future.result(_SECONDS)


def _create_users(client: AdminClient, passwords: Mapping[KafkaUser, str]) -> None:
    credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    users = [
        UserScramCredentialUpsertion(user, credential, password.encode())
        for user, password in passwords.items()
    ]
    _wait(client.alter_user_scram_credentials(users).values())


def _grants() -> set[AclBinding]:
    """Return the grants of the declared access; to read or to write includes to describe."""
    declared = set()
    for user, access in ACCESS.items():
        allowed = [
            *(("TOPIC", topic.name, "LITERAL", "READ") for topic in access.reads),
            *(("TOPIC", topic.name, "LITERAL", "WRITE") for topic in access.writes),
        ]
        if access.reads:
            allowed.append(("GROUP", user, "PREFIXED", "READ"))
        if access.transactional:
            allowed.append(("TRANSACTIONAL_ID", user, "PREFIXED", "WRITE"))
        for resource, name, pattern, operation in allowed:
            declared.add(
                AclBinding(resource, name, pattern, f"User:{user}", "*", operation, "ALLOW")
            )
    return declared


def _grant(client: AdminClient) -> None:
    every = AclBindingFilter("ANY", None, "ANY", None, None, "ANY", "ANY")  # type: ignore[arg-type]
    existing = set(client.describe_acls(every).result(_SECONDS))
    declared = _grants()
    if undeclared := existing - declared:
        filters = [
            AclBindingFilter(
                acl.restype,
                acl.name,
                acl.resource_pattern_type,
                acl.principal,
                acl.host,
                acl.operation,
                acl.permission_type,
            )
            for acl in undeclared
        ]
        _wait(client.delete_acls(filters).values())
    if missing := declared - existing:
        _wait(client.create_acls(list(missing)).values())


def _create_topics(client: AdminClient) -> None:
    existing = client.list_topics(timeout=_SECONDS).topics
    new = [NewTopic(topic.name, topic.partitions) for topic in TOPICS if topic.name not in existing]
    if new:
        _wait(client.create_topics(new).values())
    for topic in TOPICS:
        count = len(existing[topic.name].partitions) if topic.name in existing else topic.partitions
        if count != topic.partitions:
            raise RuntimeError(
                f"Topic {topic.name} has {count} partitions, and contracts/topics.py declares "
                f"{topic.partitions}: declare {count}, or delete the topic when all its messages "
                "are landed."
            )
    resources = [
        ConfigResource("topic", topic.name, incremental_configs=_config(topic)) for topic in TOPICS
    ]
    _wait(client.incremental_alter_configs(resources).values())
    # Clients see a topic when the broker has applied what the controller has recorded. Users and
    # grants were recorded before.
    deadline = time.monotonic() + _SECONDS
    while not {topic.name for topic in TOPICS} <= set(client.list_topics(timeout=_SECONDS).topics):
        if time.monotonic() > deadline:
            raise RuntimeError("The topics that were created are not visible: see Kafka's log.")
        time.sleep(0.1)


def _config(topic: Topic) -> list[ConfigEntry]:
    values = {
        "retention.ms": int(topic.retention.total_seconds() * 1000),
        "max.message.bytes": topic.max_message_bytes,
        "message.timestamp.type": "LogAppendTime",
    }
    return [
        ConfigEntry(key, str(value), incremental_operation=AlterConfigOpType.SET)
        for key, value in values.items()
    ]
