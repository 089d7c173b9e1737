"""The options of Spark's Kafka source and sink for a user of the stream."""

from contracts.settings import Kafka
from contracts.topics import KafkaUser


def kafka_login(kafka: Kafka, user: KafkaUser) -> dict[str, str]:
    """Return the options with which a user signs in; they include its password."""
    login = kafka.login(user)
    return {
        "kafka.bootstrap.servers": login["bootstrap.servers"],
        "kafka.security.protocol": login["security.protocol"],
        "kafka.sasl.mechanism": login["sasl.mechanism"],
        "kafka.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required"
            f' username="{login["sasl.username"]}" password="{login["sasl.password"]}";'
        ),
    }


def kafka_source(kafka: Kafka, user: KafkaUser) -> dict[str, str]:
    """Return the options with which a user reads committed messages and their headers."""
    return {
        **kafka_login(kafka, user),
        "kafka.isolation.level": "read_committed",
        "groupIdPrefix": user,
        "includeHeaders": "true",
    }
