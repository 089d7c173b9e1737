"""Seconds from a message to its alert, and the memory of the stream.

`python -m benchmarks.stream_alerts [--rate N] [--seconds S]`, on a separate platform without
Airflow. Simulator, producer, broker, validation service, Spark and scorer share the machine.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import quantiles
from typing import Final

import psutil
from confluent_kafka import Consumer, Message, TopicPartition
from rich.console import Console

from benchmarks.page import write_section
from benchmarks.rounds import service_pids
from contracts.settings import Settings, load_settings
from contracts.topics import ALERTS, TRANSACTIONS, Topic
from demo.stream import run
from demo.stream_alerts import wait_for_scores
from embedded import platform
from embedded.services.common import environment

_PORTS_FROM_BASE: Final = 500
_WARM_SECONDS: Final = 30
_FIRST_DAY: Final = 20
"""A day that the stream does not reach while it warms up, so that no payment repeats."""
_DRAIN_SECONDS: Final = 300
_GOAL_SECONDS: Final = 5
_MIB: Final = 2**20


def main() -> int:
    """Start the benchmark on a separate platform, or run it there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream_alerts", description=__doc__)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=int, default=500, help="messages a second (500)")
    parser.add_argument("--seconds", type=float, default=120, help="how long to measure (120)")
    options = parser.parse_args()
    settings = load_settings()
    if options.inside:
        return _measure(settings, options.rate, options.seconds)
    state = settings.state_dir / "bench"
    shutil.rmtree(state, ignore_errors=True)
    own = {
        "TOLLGATE_STATE_DIR": str(state),
        "TOLLGATE_PORT_BASE": str(settings.port_base + _PORTS_FROM_BASE),
    }
    argv = [sys.executable, "-m", "benchmarks.stream_alerts", "--inside"]
    argv += ["--rate", str(options.rate), "--seconds", str(options.seconds)]
    try:
        return subprocess.run(argv, env=environment(settings, own), check=False).returncode
    finally:
        shutil.rmtree(state, ignore_errors=True)


def _measure(settings: Settings, rate: int, seconds: float) -> int:
    busy = os.getloadavg()[0]
    console = Console(stderr=True, highlight=False)
    try:
        platform.up(settings, ["validator", "scorer"])
        settings = load_settings()  # the first start made the passwords
        # Spark compiles the query in its first batches.
        run(settings, console, _WARM_SECONDS, rate, first_day=0)
        wait_for_scores(settings, _DRAIN_SECONDS)
        began = datetime.now(UTC)
        run(settings, console, seconds, rate, first_day=_FIRST_DAY)
        left = wait_for_scores(settings, _DRAIN_SECONDS)
        waits = sorted(_waits(settings, began))
        memory = {
            name: sum(psutil.Process(pid).memory_info().rss for pid in service_pids(settings, name))
            for name in platform.read_status(settings)["services"]
        }
    finally:
        platform.down(settings)
    used = ", ".join(f"{name} {size / _MIB:,.0f}" for name, size in memory.items())
    percent = quantiles(waits, n=100, method="inclusive")
    lines = [
        f"{rate} messages a second of the simulated world for {seconds:.0f} s, after"
        f" {_WARM_SECONDS} s to warm up, with rules and without a champion. Times are those of the"
        " broker: from the arrival of a message in `transactions` to that of its alert in"
        f" `alerts`. {len(waits)} alerts; {left} messages waited for a score"
        f" {_DRAIN_SECONDS} s later. The goal is {_GOAL_SECONDS} s for 95 %.",
        "",
        "| alerts | seconds |",
        "|---|---|",
        f"| 50 % within | {percent[49]:.1f} |",
        f"| 95 % within | {percent[94]:.1f} |",
        f"| all within | {waits[-1]:.1f} |",
        "",
        f"Memory in MiB afterwards: {used}.",
    ]
    sys.stdout.write("\n".join([*lines, ""]))
    write_section("stream_alerts", title="Alerts of the stream", lines=lines, busy=busy)
    return 0


def _waits(settings: Settings, began: datetime) -> Iterator[float]:
    """Return the seconds between each message since `began` and its alert."""
    sent = {
        _identifier(message, "transaction_id"): message.timestamp()[1]
        for message in _messages(settings, TRANSACTIONS, began)
    }
    for alert in _messages(settings, ALERTS, began):
        arrived = sent.get(_identifier(alert, "event_id"))
        if arrived is not None:
            yield (alert.timestamp()[1] - arrived) / 1000


def _identifier(message: Message, name: str) -> str | None:
    try:
        payment = json.loads(message.value() or b"")
    except ValueError:
        return None
    return payment.get(name) if isinstance(payment, dict) else None


def _messages(settings: Settings, topic: Topic, began: datetime) -> Iterator[Message]:
    """Return the messages of a topic that have arrived since `began`."""
    consumer = Consumer({**settings.kafka.login("lander"), "group.id": "lander-bench"})
    try:
        since = round(began.timestamp() * 1000)
        partitions = [TopicPartition(topic.name, n, since) for n in range(topic.partitions)]
        ends = {
            n: consumer.get_watermark_offsets(p, timeout=10)[1] for n, p in enumerate(partitions)
        }
        starts = consumer.offsets_for_times(partitions, timeout=10)
        consumer.assign([one for one in starts if one.offset >= 0])
        left = {one.partition for one in starts if 0 <= one.offset < ends[one.partition]}
        while left:
            for message in consumer.consume(10_000, timeout=1):
                yield message
                if (message.offset() or 0) + 1 >= ends[message.partition()]:
                    left.discard(message.partition())
    finally:
        consumer.close()


if __name__ == "__main__":
    sys.exit(main())
