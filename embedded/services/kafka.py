"""Kafka, an optional service: one node that is broker and controller, its users, topics, grants.

Only the broker itself and the creation of users, grants and topics use the super user `admin`.
"""

from __future__ import annotations

import base64
import shutil
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.settings import HOST, Settings, kafka_login
from contracts.topics import KAFKA_USERS
from embedded import jars, secrets
from embedded.places import KAFKA_LOCK, java_environment
from embedded.services.common import command, environment, job, owns_port
from embedded.supervisor import Launch, Service

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_ADMIN = "admin"


def _home(settings: Settings) -> Path:
    return settings.state_dir / "kafka"


def _properties(settings: Settings) -> dict[str, Any]:
    client, controller = settings.port("kafka"), settings.port("kafka-controller")
    password = secrets.read(settings.secrets_dir, "kafka_admin")
    jaas = f'required username="{_ADMIN}" password="{password}"'
    modules = "org.apache.kafka.common.security"
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        # A path below the working directory: formatting takes place in another one.
        "log.dirs": "data",
        "listeners": f"CLIENT://{HOST}:{client},CONTROLLER://{HOST}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
        "inter.broker.listener.name": "CLIENT",
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": (
            f"{modules}.scram.ScramLoginModule {jaas};"
        ),
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        # A controller does not support SCRAM.
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": (
            f'{modules}.plain.PlainLoginModule {jaas} user_{_ADMIN}="{password}";'
        ),
        "sasl.mechanism.controller.protocol": "PLAIN",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{_ADMIN}",
        "auto.create.topics.enable": "false",
        # One node holds each partition once.
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "offsets.topic.num.partitions": 6,
        "transaction.state.log.num.partitions": 6,
        # A segment that is written to is never removed, so retention needs daily segments.
        "log.roll.hours": 24,
        "group.initial.rebalance.delay.ms": 0,
        # After a crash the broker registers again when its earlier session has expired.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # The default takes half of the heap.
        "log.cleaner.dedupe.buffer.size": 8 * 2**20,
    }


def _java(settings: Settings) -> list[str]:
    scratch = _home(settings) / "tmp"
    return [
        str(Path(java_environment()["JAVA_HOME"]) / "bin" / "java"),
        *("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        *("-XX:+ExitOnOutOfMemoryError", "-Djava.net.preferIPv4Stack=true"),
        *(["-XX:-UsePerfData"] if sys.platform == "linux" else []),
        *(f"-Djava.io.tmpdir={scratch}", "-Dlog4j2.level=WARN"),
        *("-cp", jars.class_path(KAFKA_LOCK)),
    ]


def _launch(settings: Settings) -> Launch:
    home = _home(settings)
    shutil.rmtree(home / "tmp", ignore_errors=True)
    (home / "tmp").mkdir(parents=True, mode=0o700)
    lines = [f"{key}={value}\n" for key, value in _properties(settings).items()]
    secrets.write_private(home / "server.properties", "".join(lines))
    if not (home / "data").is_dir():
        _format(settings)
    argv = [*_java(settings), "kafka.Kafka", str(home / "server.properties")]
    return Launch(argv, environment(settings), home)


def _format(settings: Settings) -> None:
    """Create the data folder with a new cluster id and the super user, all or nothing."""
    home = _home(settings)
    scratch = home / "tmp" / "format"
    scratch.mkdir()
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    password = secrets.read(settings.secrets_dir, "kafka_admin")
    # The tool reads its arguments from a private file, because other users can see command lines.
    arguments = scratch / "arguments"
    secrets.write_private(
        arguments,
        "\n".join(
            (
                *("format", "--standalone", f"--cluster-id={cluster}"),
                f"--config={home / 'server.properties'}",
                f"--add-scram=SCRAM-SHA-512=[name={_ADMIN},password={password}]",
            )
        ),
    )
    argv = [*_java(settings), "kafka.tools.StorageTool", f"@{arguments}"]
    command(argv, environment(settings), cwd=scratch)
    (scratch / "data").rename(home / "data")
    shutil.rmtree(scratch)


def admin(settings: Settings) -> AdminClient:
    """Return a client of the super user."""
    from confluent_kafka.admin import AdminClient

    password = secrets.read(settings.secrets_dir, "kafka_admin")
    return AdminClient(kafka_login(f"{HOST}:{settings.port('kafka')}", _ADMIN, password))


def _ready(settings: Settings, pid: int, started: float) -> bool:
    """Return whether this process answers the super user with the id of our cluster."""
    from confluent_kafka import KafkaException

    if not owns_port(pid, started, settings.port("kafka")):
        return False
    stored = (_home(settings) / "data" / "meta.properties").read_text()
    try:
        return f"\ncluster.id={admin(settings).cluster_id(timeout=3)}\n" in stored
    except KafkaException:
        return False


def create(settings: Settings) -> None:
    """Create or update users, grants and topics as declared."""
    from embedded.services.kafka_admin import declare

    secret = {user: secrets.read(settings.secrets_dir, f"kafka_{user}") for user in KAFKA_USERS}
    declare(admin(settings), secret)


def service(settings: Settings) -> Service:
    """Declare the Kafka broker."""
    return Service(
        name="kafka",
        launch=lambda: _launch(settings),
        ready=lambda pid, started: _ready(settings, pid, started),
        after_ready=lambda: job(settings, "kafka"),
        port=settings.port("kafka"),
        url=settings.kafka.bootstrap_servers,
        optional=True,
    )
