"""An instance of `ExactlyOnce` for tests: `python -m tests.streaming.relay NAME`.

A message that begins with "good" is validated, any other one rejected, after a millisecond, so that
a transaction is open most of the time. A line on the output is the number of messages of a
committed transaction.
"""

import signal
import sys
import time
from collections.abc import Sequence
from threading import Event

from confluent_kafka import Message

from contracts.settings import load_settings
from contracts.topics import REJECTED, TRANSACTIONS, VALIDATED
from streaming.exactly_once import ExactlyOnce, Outcome


def _transform(message: Message) -> Outcome:
    time.sleep(0.001)
    value = message.value()
    topic = VALIDATED if value.startswith(b"good") else REJECTED
    # Other tests leave messages of megabytes.
    return Outcome(topic, message.key(), value[:100], topic.name)


def _committed(labels: Sequence[str]) -> None:
    print(len(labels), flush=True)


if __name__ == "__main__":
    stopping = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    kafka = load_settings().kafka
    ExactlyOnce(kafka, "validator", sys.argv[1], TRANSACTIONS, _transform, _committed).run(stopping)
