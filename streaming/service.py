"""How a service of the stream runs: until a signal, with its errors as sentences."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from threading import Event

from confluent_kafka import KafkaException

from contracts.settings import SettingsError
from streaming.connection import StreamError


def run_service(
    name: str,
    port: int,
    run: Callable[[Event], None],
    *,
    afterwards: str,
    explained: tuple[type[Exception], ...] = (),
) -> int:
    """Run a service until SIGTERM or SIGINT sets the event; return its exit code.

    An error becomes a sentence on stderr and the code 1. The message of `StreamError`,
    `SettingsError` and the types `explained` is one already. `afterwards` says what happens when
    the service starts again after Kafka has refused a request.
    """
    sentences: tuple[type[Exception], ...] = (StreamError, SettingsError, *explained)
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        run(stopping)
    except sentences as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except KafkaException as problem:
        refusal = f"Kafka refuses a request of the {name}: {problem.args[0].str()}."
        sys.stderr.write(f"{refusal} {afterwards}\n")
        return 1
    except OSError as problem:
        sys.stderr.write(f"Port {port} cannot be used: {problem}. Choose another one.\n")
        return 1
    return 0
