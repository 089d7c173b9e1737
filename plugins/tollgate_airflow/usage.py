"""Resource use of a process or a server: time, CPU, memory and bytes."""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_MIB: Final = 2**20
_LINUX: Final = sys.platform == "linux"
_RSS_UNIT: Final = 1024 if _LINUX else 1  # `ru_maxrss` is in KiB on Linux, in bytes on macOS
_LOOK_EVERY: Final = 0.5


@dataclass(frozen=True)
class Usage:
    """Resource use of this process; the peak is the larger one of it and its largest child.

    On Linux the peak covers the measured period, including pages that are shared with the parent of
    a fork; elsewhere it covers the process since it started. Bytes are those of reads and writes of
    files and pipes, cached or not, without sockets; None if the system does not report them.
    """

    seconds: float
    cpu_seconds: float
    peak_memory_mib: float
    bytes_read: int | None
    bytes_written: int | None


@dataclass(frozen=True)
class ServerUsage:
    """Resource use of a server for all its clients. The peak is the largest sample."""

    cpu_seconds: float
    peak_memory_mib: float


class Meter:
    """Measures this process and its finished children from the creation of the meter."""

    def __init__(self) -> None:
        if _LINUX:
            with suppress(OSError):  # then the peak covers the process since it started
                Path("/proc/self/clear_refs").write_text("5")
        self._began = time.perf_counter()
        self._cpu = _cpu_seconds()
        self._children = _largest_child()
        self._bytes = _bytes()

    def read(self) -> Usage:
        """Return the resource use since the meter was created."""
        largest = _largest_child()
        peak = max(_own_peak(), largest if largest > self._children else 0.0)
        (read, written), (read_before, written_before) = _bytes(), self._bytes
        return Usage(
            seconds=time.perf_counter() - self._began,
            cpu_seconds=_cpu_seconds() - self._cpu,
            peak_memory_mib=peak,
            bytes_read=_less(read, read_before),
            bytes_written=_less(written, written_before),
        )


@contextmanager
def watched(pid: int) -> Iterator[list[ServerUsage]]:
    """Watch a server and its children; the list gets one usage at the end, none if it exited."""
    usages: list[ServerUsage] = []
    try:
        server = psutil.Process(pid)
        before = _tree_cpu(server)
    except psutil.Error:
        yield usages
        return
    done, peaks = threading.Event(), [0.0]

    def look() -> None:
        with suppress(psutil.Error):
            while True:
                peaks.append(_resident_mib(server))
                if done.wait(_LOOK_EVERY):
                    return

    watching = threading.Thread(target=look, name="usage of a server", daemon=True)
    watching.start()
    try:
        yield usages
    finally:
        done.set()
        watching.join()
        with suppress(psutil.Error):
            usages.append(ServerUsage(max(_tree_cpu(server) - before, 0.0), max(peaks)))


def _cpu_seconds() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def _largest_child() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _RSS_UNIT / _MIB


def _own_peak() -> float:
    if _LINUX:
        # Not `ru_maxrss`, which cannot be reset and which a fork may inherit from its parent.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / _MIB


def _bytes() -> tuple[int | None, int | None]:
    if not _LINUX:
        return None, None
    try:
        counters = psutil.Process().io_counters()
    except (psutil.Error, OSError):
        return None, None
    return counters.read_chars, counters.write_chars


def _less(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else now - before


def _family(server: psutil.Process) -> list[psutil.Process]:
    return [server, *server.children(recursive=True)]


def _tree_cpu(server: psutil.Process) -> float:
    """Return the CPU seconds of a server and of its running and finished children."""
    total = 0.0
    for process in _family(server):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _resident_mib(server: psutil.Process) -> float:
    total = 0
    for process in _family(server):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / _MIB
