"""A process that works on request and reports the CPU time that it used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BURN = """
import time

def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
"""
_SERVE = f"""{BURN}
block = b"x" * (150 * 2**20)
while input():
    began = time.process_time()
    burn(0.3)
    print(time.process_time() - began, flush=True)
"""


@dataclass(frozen=True)
class WorkingServer:
    """A server without a child, which allocates 150 MiB and works only on request."""

    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def work(self) -> float:
        """Have it burn at least 0.3 CPU seconds; return how many it burnt."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("work\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def kill(self) -> None:
        """End it, and wait until it is gone."""
        self.process.kill()
        self.process.wait()


@contextmanager
def working_server() -> Iterator[WorkingServer]:
    """Start the server, let it take its memory, and end it at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        server = WorkingServer(process)
        server.work()
        try:
            yield server
        finally:
            server.kill()
