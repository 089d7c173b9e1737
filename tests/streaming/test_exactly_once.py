"""Messages have one outcome each, whatever is killed: seen by a reader of committed messages."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from contracts.settings import REPO, Settings
from contracts.topics import REJECTED, TRANSACTIONS, VALIDATED
from embedded import platform
from tests.streaming.readers import committed_messages

pytestmark = [pytest.mark.kafka, pytest.mark.random_order(disabled=True)]


class Relays:
    """Processes of `tests/streaming/relay.py`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        with (self._folder / name).open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.streaming.relay", name],
                cwd=REPO,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def start_again(self) -> None:
        """Start each process that has ended, as the supervisor does."""
        for name, process in self.running.items():
            if process.poll() is not None:
                self.start(name)

    def drain(self, name: str) -> int:
        """Send SIGTERM; return the exit code."""
        process = self.running.pop(name)
        process.terminate()
        return process.wait(30)

    def wait_for_commit(self, name: str) -> None:
        """Wait until an instance commits its next transaction."""
        commits = self.commits(name)
        deadline = time.monotonic() + 30
        while self.commits(name) == commits:
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.01)

    def commits(self, name: str) -> int:
        return self.log(name).count("\n")

    def log(self, name: str) -> str:
        return (self._folder / name).read_text()


@pytest.fixture
def relays(kafka: Settings, tmp_path: Path) -> Iterator[Relays]:
    running = Relays(tmp_path)
    yield running
    for name in list(running.running):
        running.kill(name)


def _messages(count: int) -> list[bytes]:
    """Return messages that no other test sends: three of four are good."""
    test = uuid4().hex
    return [f"{'bad' if n % 4 == 0 else 'good'} {test} {n}".encode() for n in range(count)]


def _send(settings: Settings, messages: list[bytes]) -> None:
    producer = Producer({**settings.kafka.login("producer"), "enable.idempotence": True})
    for message in messages:
        producer.produce(TRANSACTIONS.name, message, key=message[-3:])
    assert producer.flush(60) == 0


@contextmanager
def _outcomes(settings: Settings) -> Iterator[Callable[[], dict[str, list[bytes]]]]:
    """Give a function that returns the committed messages of both topics since the beginning."""
    seen: dict[str, list[bytes]] = {VALIDATED.name: [], REJECTED.name: []}
    with committed_messages(settings) as read:

        def read_on() -> dict[str, list[bytes]]:
            for message in read():
                seen[message.topic()].append(message.value())
            return seen

        yield read_on


def _of(messages: list[bytes], seen: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    """Return the outcomes of the messages of a test, sorted."""
    test = messages[0].split()[1]
    return {
        topic: sorted(value for value in values if value.split()[1:2] == [test])
        for topic, values in seen.items()
    }


def _expected(messages: list[bytes]) -> dict[str, list[bytes]]:
    return {
        VALIDATED.name: sorted(m for m in messages if m.startswith(b"good")),
        REJECTED.name: sorted(m for m in messages if m.startswith(b"bad")),
    }


def _wait_for(
    messages: list[bytes],
    read: Callable[[], dict[str, list[bytes]]],
    relays: Relays,
) -> None:
    """Wait until as many outcomes are there as messages, and a moment more; compare them."""
    deadline = time.monotonic() + 90
    while sum(map(len, _of(messages, read()).values())) < len(messages):
        relays.start_again()
        assert time.monotonic() < deadline, [relays.log(name) for name in relays.running]
    read()
    assert _of(messages, read()) == _expected(messages)


def test_each_message_has_one_outcome_when_instances_leave_and_are_killed(
    kafka: Settings, relays: Relays
) -> None:
    """One of two instances leaves and returns, then each is killed, while messages arrive.

    Fifteen seconds: the partitions of a killed instance move when its session expires, after six.
    """
    messages = _messages(20_000)
    sent, after = 0, random.Random(17)
    with _outcomes(kafka) as read:
        for name in ("one", "two"):
            relays.start(name)
        for name, leaves in (("one", True), ("two", False), ("one", False)):
            commits = relays.commits(name)
            while relays.commits(name) < commits + 3:
                _send(kafka, messages[sent : sent + 100])
                sent += 100
            time.sleep(after.uniform(0.0, 0.1))
            if leaves:
                assert relays.drain(name) == 0
            else:
                relays.kill(name)
            relays.start(name)
        _wait_for(messages[:sent], read, relays)


def test_a_broker_that_is_killed_in_mid_transaction_changes_no_outcome(
    kafka: Settings, relays: Relays
) -> None:
    """Twenty seconds: the broker starts again in ten, and a commit that hangs ends after ten."""
    messages = _messages(4000)
    with _outcomes(kafka) as read:
        relays.start("one")
        _send(kafka, messages[:2000])
        relays.wait_for_commit("one")
        os.kill(platform.read_status(kafka)["services"]["kafka"]["pid"], signal.SIGKILL)
        _send(kafka, messages[2000:])
        _wait_for(messages, read, relays)
    assert relays.drain("one") == 0


def test_a_second_process_with_the_name_of_an_instance_replaces_the_first(
    kafka: Settings, relays: Relays
) -> None:
    messages = _messages(1000)
    with _outcomes(kafka) as read:
        relays.start("one")
        _send(kafka, messages[:500])
        _wait_for(messages[:500], read, relays)
        first = relays.running["one"]
        relays.start("one")
        _send(kafka, messages[500:])
        _wait_for(messages, read, relays)
        assert first.wait(30) != 0
