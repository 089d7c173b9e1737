"""The supervisor, with real processes in a real supervisor process."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from embedded.services.common import owns_port
from embedded.supervisor import Launch, Service, Supervisor, port_is_free, session_members

REPO = Path(__file__).resolve().parents[2]
# A service is ready when it has written its own pid into a file of its name.
_HARNESS = """
    import json, os, sys
    from pathlib import Path
    from embedded import supervisor
    from embedded.supervisor import Launch, Service, Supervisor

    supervisor._STOP_SECONDS = 2.0  # of 15, which a child that ignores SIGTERM takes in full
    home = Path(sys.argv[1])

    def declare(name, command, needs=(), port=None):
        def ready(pid, _started):
            file = home / f"{name}.ready"
            return file.exists() and file.read_text() == str(pid)

        launch = lambda: Launch([sys.executable, "-c", command, str(home)], dict(os.environ))
        return Service(name, launch, ready, tuple(needs), port=port, ready_seconds=60)

    services = [declare(**spec) for spec in json.loads((home / "spec.json").read_text())]
    names = [service.name for service in services]
    Supervisor(services, home / "logs", home / "status.json").run(lambda: names)
"""
_SLEEPER = """
import os, sys, time
from pathlib import Path
home, name = Path(sys.argv[1]), "{name}"
{before}
(home / (name + ".part")).write_text(str(os.getpid()))
(home / (name + ".part")).rename(home / (name + ".ready"))
time.sleep(600)
"""
_STUBBORN_CHILD = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
)], start_new_session={new_session})
(home / "child").write_text(str(child.pid))
time.sleep(0.5)
"""


def _sleeper(name: str, before: str = "") -> str:
    return _SLEEPER.format(name=name, before=before)


class Harness:
    """A running supervisor and its folder."""

    def __init__(self, home: Path, specs: list[dict[str, Any]]) -> None:
        self.home = home
        (home / "spec.json").write_text(json.dumps(specs))
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_HARNESS), str(home)],
            env={**os.environ, "PYTHONPATH": str(REPO)},
            start_new_session=True,
        )

    def services(self) -> dict[str, Any]:
        file = self.home / "status.json"
        return json.loads(file.read_text())["services"] if file.exists() else {}

    def state(self, name: str) -> str:
        return self.services().get(name, {}).get("state", "")

    def pid(self, name: str) -> int:
        return int(self.services()[name]["pid"])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def _until(what: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Harness]]:
    started: list[Harness] = []

    def start(*specs: dict[str, Any]) -> Harness:
        started.append(Harness(tmp_path, list(specs)))
        return started[-1]

    yield start
    for harness in started:
        if harness.process.poll() is None:
            harness.stop()


def test_a_service_starts_only_when_what_it_needs_is_ready(
    supervise: Callable[..., Harness],
) -> None:
    slow = "time.sleep(1); (home / 'first-was-ready').touch()"
    check = "assert (home / 'first-was-ready').exists()"
    harness = supervise(
        {"name": "second", "command": _sleeper("second", check), "needs": ["first"]},
        {"name": "first", "command": _sleeper("first", slow)},
    )
    _until(lambda: harness.state("second") == "ready")
    assert harness.services()["second"]["restarts"] == 0


def test_a_killed_service_is_restarted(supervise: Callable[..., Harness]) -> None:
    harness = supervise({"name": "one", "command": _sleeper("one")})
    _until(lambda: harness.state("one") == "ready")
    first = harness.pid("one")
    os.kill(first, signal.SIGKILL)
    _until(lambda: harness.state("one") == "ready" and harness.pid("one") != first)
    assert harness.services()["one"]["restarts"] == 1


@pytest.mark.parametrize("new_session", [False, True])
def test_children_that_ignore_sigterm_are_killed(
    supervise: Callable[..., Harness], new_session: bool
) -> None:
    if new_session and sys.platform != "linux":
        pytest.skip("only Linux hands such children back to the supervisor")
    before = _STUBBORN_CHILD.format(new_session=new_session)
    harness = supervise({"name": "one", "command": _sleeper("one", before)})
    _until(lambda: harness.state("one") == "ready")
    leader, child = harness.pid("one"), int((harness.home / "child").read_text())
    os.kill(leader, signal.SIGKILL)
    _until(lambda: not psutil.pid_exists(child))
    _until(lambda: harness.state("one") == "ready" and harness.pid("one") != leader)
    second = int((harness.home / "child").read_text())
    harness.stop()
    assert not psutil.pid_exists(second)
    assert not (harness.home / "status.json").exists()


def test_a_taken_port_is_named_and_nothing_starts(supervise: Callable[..., Harness]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        harness = supervise({"name": "one", "command": _sleeper("one"), "port": port})
        _until(lambda: harness.state("one") == "failed")
        assert harness.services()["one"]["problem"] == (
            f"RuntimeError: port {port} is taken by another program"
        )
        assert harness.pid("one") == 0


def test_a_service_that_never_starts_fails_with_its_reason(
    supervise: Callable[..., Harness],
) -> None:
    harness = supervise({"name": "one", "command": "raise SystemExit(7)"})
    _until(lambda: harness.state("one") == "failed")
    assert "ended with code 7" in harness.services()["one"]["problem"]


def test_a_failed_service_can_be_started_again(
    supervise: Callable[..., Harness],
) -> None:
    check = "assert (home / 'mended').exists()"
    harness = supervise({"name": "one", "command": _sleeper("one", check)})
    _until(lambda: harness.state("one") == "failed")
    (harness.home / "mended").touch()
    harness.process.send_signal(signal.SIGHUP)
    _until(lambda: harness.state("one") == "ready")


def test_another_server_on_the_port_does_not_count_as_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
        started = psutil.Process(stranger.pid).create_time()
        try:
            assert not owns_port(stranger.pid, started, port)
            assert not port_is_free(port)
        finally:
            stranger.kill()
            stranger.wait()


def test_a_reused_process_id_is_not_the_old_session() -> None:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        started = psutil.Process(process.pid).create_time()
        assert [member.pid for member in session_members(process.pid, started)] == [process.pid]
        assert session_members(process.pid, started - 3600) == []
    finally:
        process.kill()
        process.wait()


def test_nothing_starts_once_the_platform_stops(tmp_path: Path) -> None:
    started = tmp_path / "started"
    launch = Launch([sys.executable, "-c", f"open({str(started)!r}, 'w')"], dict(os.environ))
    late = Service("late", lambda: launch, lambda _pid, _started: True)
    (tmp_path / "logs").mkdir()
    supervisor = Supervisor([late], tmp_path / "logs", tmp_path / "status.json")
    supervisor._stopping.set()
    supervisor._once(late, supervisor._lives["late"])
    assert supervisor._lives["late"].problem.endswith("the platform stops")
    assert supervisor._lives["late"].pid == 0
    assert not started.exists()
