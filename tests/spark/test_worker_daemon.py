"""The daemon of Python workers stays while it has one, and ends when it has none."""

import os
import socket
import struct
import subprocess
import sys
import time

import psutil
import pytest

from spark.worker_daemon import _LOOK_SECONDS

_INT = struct.Struct("!i")


def test_a_daemon_ends_with_its_last_worker() -> None:
    daemon = subprocess.Popen(
        [sys.executable, "-m", "spark.worker_daemon", "pyspark.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHON_WORKER_FACTORY_SECRET": "secret"},  # noqa: TID251
    )
    try:
        assert daemon.stdout is not None
        (port,) = _INT.unpack(daemon.stdout.read(_INT.size))
        with socket.create_connection(("127.0.0.1", port)) as connection:
            (worker,) = _INT.unpack(connection.recv(_INT.size, socket.MSG_WAITALL))
            time.sleep(_LOOK_SECONDS + 1)

            assert daemon.poll() is None
            assert [child.pid for child in psutil.Process(daemon.pid).children()] == [worker]

        daemon.wait(timeout=2 * _LOOK_SECONDS)
        assert not psutil.pid_exists(worker)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    finally:
        daemon.kill()
