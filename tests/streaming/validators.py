"""A service of the stream as a process of a test; on the test platform it would not end."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from contracts.settings import HOST, Settings
from embedded.services import stream
from embedded.supervisor import Service


@contextmanager
def running(
    settings: Settings, log: Path, service: Callable[[Settings], Service] = stream.validator
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Give the process of the service as the platform launches it, and the address of its pages."""
    declared = service(settings)
    launch = declared.launch()
    with log.open("wb") as file:
        process = subprocess.Popen(
            launch.command,
            env=launch.environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        started, deadline = psutil.Process(process.pid).create_time(), time.monotonic() + 90
        while not declared.ready(process.pid, started):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield process, f"http://{HOST}:{declared.port}"
    finally:
        process.kill()
        process.wait()
