"""A service of the test platform that is away for a while."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from contracts.settings import HOST, Settings
from embedded import platform


@contextmanager
def away(settings: Settings, service: str) -> Iterator[None]:
    """Kill a service and occupy its port, so that it returns only after the block."""
    state = platform.read_status(settings)["services"][service]
    deadline = time.monotonic() + 5
    with socket.socket() as occupied:
        occupied.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        os.kill(state["pid"], signal.SIGKILL)
        while True:
            try:
                occupied.bind((HOST, state["port"]))
                break
            except OSError:
                assert time.monotonic() < deadline, f"{service} has kept its port"
        # From now on the supervisor finds the port taken.
        occupied.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        yield
    platform.up(settings, [service])
