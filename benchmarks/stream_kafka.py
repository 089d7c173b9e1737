"""Messages a second from a producer to `transactions.validated`, and the memory of the stream.

`python -m benchmarks.stream_kafka [--messages N]`, on a separate platform. Producer, broker and
validation service share the machine.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import IO, Final

import psutil

from benchmarks.page import write_section
from benchmarks.rounds import service_pids
from benchmarks.stream import simulated_messages
from contracts.settings import Settings, load_settings
from contracts.topics import REJECTED, VALIDATED
from demo.stream import counted
from embedded import platform
from embedded.services.common import environment

_PORTS_FROM_BASE: Final = 500
_ROUNDS: Final = 3
_GOAL: Final = 20_000
_LOOK_SECONDS: Final = 0.05
_MIB: Final = 2**20


def main() -> int:
    """Start the benchmark on a separate platform, or run it there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream_kafka", description=__doc__)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--messages", type=int, default=400_000)
    options = parser.parse_args()
    settings = load_settings()
    if options.inside:
        return _measure(settings, options.messages)
    state = settings.state_dir / "bench"
    shutil.rmtree(state, ignore_errors=True)
    own = {
        "TOLLGATE_STATE_DIR": str(state),
        "TOLLGATE_PORT_BASE": str(settings.port_base + _PORTS_FROM_BASE),
    }
    argv = [sys.executable, "-m", "benchmarks.stream_kafka", "--inside"]
    argv += ["--messages", str(options.messages)]
    try:
        return subprocess.run(argv, env=environment(settings, own), check=False).returncode
    finally:
        shutil.rmtree(state, ignore_errors=True)


def _measure(settings: Settings, count: int) -> int:
    busy = os.getloadavg()[0]
    messages = simulated_messages(days=10, customers=2_000)
    try:
        platform.up(settings, ["validator"])
        settings = load_settings()  # the first start made the passwords
        with tempfile.NamedTemporaryFile(dir=settings.state_dir) as file:
            _write(Path(file.name), messages, count)
            rounds = [_round(settings, file, count) for _ in range(_ROUNDS)]
        memory = {
            name: sum(psutil.Process(pid).memory_info().rss for pid in service_pids(settings, name))
            for name in platform.read_status(settings)["services"]
        }
    finally:
        platform.down(settings)
    lines = _lines(rounds, count, memory)
    sys.stdout.write("\n".join([*lines, ""]))
    write_section("stream_kafka", title="Stream through Kafka", lines=lines, busy=busy)
    return 0


def _write(file: Path, messages: Sequence[bytes], count: int) -> None:
    with file.open("wb") as target:
        for number in range(count):
            target.write(messages[number % len(messages)] + b"\n")


def _round(settings: Settings, file: IO[bytes], count: int) -> tuple[float, float]:
    """Send the messages; return the seconds until all are sent, and until all have an outcome."""
    before, began = _outcomes(settings), perf_counter()
    with Path(file.name).open("rb") as lines:
        producer = subprocess.Popen(
            [sys.executable, "-m", "streaming.producer"],
            stdin=lines,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        sent = None
        while (done := _outcomes(settings) - before) < count:
            if sent is None and producer.poll() is not None:
                sent = perf_counter() - began
            sleep(_LOOK_SECONDS)
        ended = perf_counter() - began
        if producer.wait():
            raise RuntimeError(f"the producer failed after {done:,} of {count:,} messages")
    return sent or ended, ended


def _outcomes(settings: Settings) -> int:
    found = counted(settings)
    return found[VALIDATED.name] + found[REJECTED.name]


def _lines(rounds: Sequence[tuple[float, float]], count: int, memory: dict[str, int]) -> list[str]:
    sent, validated = (
        median(count / seconds for seconds in times) for times in zip(*rounds, strict=True)
    )
    used = ", ".join(f"{name} {size / _MIB:,.0f}" for name, size in memory.items())
    return [
        f"{count:,} payments of the simulated world from a file, by `streaming.producer`, with the"
        " broker and one instance of the validation service on the same two cores; its start is"
        f" included. Median of {len(rounds)} rounds. The goal is {_GOAL:,} validated messages a"
        " second.",
        "",
        "| | messages a second |",
        "|---|---|",
        f"| sent and acknowledged | {sent:,.0f} |",
        f"| validated or rejected, committed | {validated:,.0f} |",
        "",
        f"Memory in MiB after the rounds: {used}.",
    ]


if __name__ == "__main__":
    sys.exit(main())
