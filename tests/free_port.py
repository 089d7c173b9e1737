"""Ports for servers of tests that are not services of a test platform."""

import socket

from contracts.settings import HOST


def free_port() -> int:
    """Return a port of the loopback address on which nothing listens."""
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])
