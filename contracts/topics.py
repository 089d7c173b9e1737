"""Topics of the stream, and what each user may do with them.

Payments and alerts are keyed by customer, so that the payments of a customer keep their order. The
broker stamps each message with its own time on arrival: no producer chooses how long a message is
kept, and a payment's `arrived` does not depend on the producer's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

KafkaUser = Literal["producer", "validator", "lander", "sink", "scorer", "updater", "reader"]
KAFKA_USERS: tuple[KafkaUser, ...] = get_args(KafkaUser)


@dataclass(frozen=True)
class Topic:
    """A topic: its partitions, how long messages are kept, and the largest message in bytes."""

    name: str
    partitions: int
    retention: timedelta
    max_message_bytes: int


@dataclass(frozen=True)
class Access:
    """The topics that a user reads and writes.

    A user that reads may join consumer groups whose names begin with its name. One that is
    `transactional` may use transactional ids that begin with its name.
    """

    reads: tuple[Topic, ...] = ()
    writes: tuple[Topic, ...] = ()
    transactional: bool = False


# Six partitions divide among one, two, three or six validators. A week covers an outage of the
# readers over a long weekend. A message that is larger than any payment arrives, is rejected with a
# reason and is seen; beyond 4 MiB the broker refuses it.
TRANSACTIONS = Topic("transactions", 6, timedelta(days=7), 4 * 2**20)
# A valid message is passed on as it arrived, with another key.
VALIDATED = Topic("transactions.validated", 6, timedelta(days=7), 5 * 2**20)
# A redrive reads rejects of a month. Their payload is masked and cut.
REJECTED = Topic("transactions.rejected", 3, timedelta(days=30), 2**20)
ALERTS = Topic("alerts", 3, timedelta(days=7), 2**20)
PARTITION_HEADER = "partition"
OFFSET_HEADER = "offset"
TIME_HEADER = "event_at"
"""Headers of an outcome: the position of its message in `transactions`, and the time of the payment
in ISO 8601, which a rejected message may lack."""
TOPICS = (TRANSACTIONS, VALIDATED, REJECTED, ALERTS)

ACCESS: dict[KafkaUser, Access] = {
    "producer": Access(writes=(TRANSACTIONS,)),
    "validator": Access((TRANSACTIONS,), (VALIDATED, REJECTED), transactional=True),
    # Raw keeps what its source sent, so the landing reads the originals of rejected messages.
    "lander": Access(reads=(TRANSACTIONS, VALIDATED, REJECTED, ALERTS)),
    "sink": Access(reads=(REJECTED,)),
    "scorer": Access(reads=(VALIDATED,), writes=(ALERTS,)),
    "updater": Access(reads=(VALIDATED,)),
    "reader": Access(reads=(VALIDATED, REJECTED, ALERTS)),
}
