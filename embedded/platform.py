"""Start, stop and inspect the platform of one state folder."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from contracts.settings import Settings, load_settings
from embedded import preflight, secrets
from embedded.places import REPO, python
from embedded.services import all_services
from embedded.services.common import environment
from embedded.supervisor import Supervisor, empty_session, session_members

_START_SECONDS = 300.0
Progress = Callable[[dict[str, Any]], None]


class PlatformError(RuntimeError):
    """Raised when a command of the platform fails; the message has the remedy."""


def logs_dir(settings: Settings) -> Path:
    """Return the folder of all logs."""
    return settings.state_dir / "logs"


def _run_dir(settings: Settings) -> Path:
    return settings.state_dir / "run"


def _status_file(settings: Settings) -> Path:
    return _run_dir(settings) / "status.json"


def _wanted_file(settings: Settings) -> Path:
    return _run_dir(settings) / "wanted.json"


def _alive(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < 2
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def read_status(settings: Settings) -> dict[str, Any]:
    """Return the last status of the supervisor, with `running` true while its process exists."""
    try:
        status: dict[str, Any] = json.loads(_status_file(settings).read_text())
    except FileNotFoundError:
        return {"running": False, "services": {}}
    status["running"] = _alive(status["pid"], status["started"])
    return status


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    """Let one `up` or `down` of this state folder run at a time."""
    _run_dir(settings).mkdir(parents=True, exist_ok=True, mode=0o711)
    with (_run_dir(settings) / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _closure(settings: Settings, names: Sequence[str]) -> list[str]:
    """Return the named services and their dependencies, in start order.

    Without names, return all services that are not optional.
    """
    services = {service.name: service for service in all_services(settings)}
    pending = list(names) or [name for name in services if not services[name].optional]
    if "airflow" in pending:
        pending += [name for name in services if name.startswith("airflow-")]
        pending.remove("airflow")
    if unknown := [name for name in pending if name not in services]:
        raise PlatformError(f"No service is called {unknown[0]!r}: choose from {list(services)}.")
    wanted: set[str] = set()
    while pending:
        name = pending.pop()
        wanted.add(name)
        pending += [need for need in services[name].needs if need not in wanted]
    return [name for name in services if name in wanted]


def up(settings: Settings, only: Sequence[str] = (), progress: Progress | None = None) -> None:
    """Start the platform, or some services and what they need, and wait until all are ready."""
    names = _closure(settings, only)
    with _one_at_a_time(settings):
        status = read_status(settings)
        if not status["running"] and status["services"]:
            _sweep(settings, status)
        running = set(status["services"]) if status["running"] else set()
        new = [name for name in names if name not in running]
        if new:
            services = [service for service in all_services(settings) if service.name in new]
            preflight.check(settings, services)
            secrets.ensure(settings.secrets_dir)
            _wanted_file(settings).write_text(json.dumps([*running, *new]))
        if not status["running"]:
            _start_supervisor(settings)
        elif new or _failed(settings):
            os.kill(status["pid"], signal.SIGHUP)
            deadline = time.monotonic() + 5
            while _failed(settings) and time.monotonic() < deadline:
                time.sleep(0.05)
        _wait_ready(settings, names, progress)


def _failed(settings: Settings) -> bool:
    """Return whether a service has failed permanently; `up` starts it again."""
    states = read_status(settings)["services"].values()
    return any(state["state"] == "failed" for state in states)


def _start_supervisor(settings: Settings) -> None:
    logs_dir(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    with (logs_dir(settings) / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [python(), "-m", "embedded", "supervise"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=REPO,
            env=environment(settings),
            start_new_session=True,
        )
    for _ in range(300):
        if process.poll() is not None:
            raise PlatformError(
                f"The supervisor ended at once: see {logs_dir(settings)}/supervisor.log"
            )
        if read_status(settings)["running"]:
            return
        time.sleep(0.1)
    raise PlatformError("The supervisor did not come up within 30 s.")


def supervise(settings: Settings) -> None:
    """Run the supervisor in the foreground until SIGTERM."""
    os.umask(0o077)
    services = all_services(load_settings())
    wanted = _wanted_file(settings)
    supervisor = Supervisor(services, logs_dir(settings), _status_file(settings))
    supervisor.run(lambda: json.loads(wanted.read_text()))


def _wait_ready(settings: Settings, names: Sequence[str], progress: Progress | None) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        status = read_status(settings)
        states = {name: status["services"].get(name, {"state": "waiting"}) for name in names}
        if progress:
            progress(states)
        if all(state["state"] == "ready" for state in states.values()):
            return
        troubled = [name for name in names if states[name].get("problem")]
        failed = [name for name in names if states[name]["state"] == "failed"]
        if not status["running"] or failed or time.monotonic() > deadline:
            culprit = (failed or troubled or ["supervisor"])[0]
            problem = states.get(culprit, {}).get("problem") or "not ready in time"
            raise PlatformError(
                f"{culprit}: {problem}. Its log is {logs_dir(settings)}/{culprit}.log; "
                "fix the cause and run `make up` again, or `make down` to stop the other services."
            )
        time.sleep(0.25)


def down(settings: Settings) -> bool:
    """Stop all services of the platform; return whether any was running."""
    if not _run_dir(settings).is_dir():
        return False
    with _one_at_a_time(settings):
        status = read_status(settings)
        if status["running"]:
            with suppress(ProcessLookupError):
                os.kill(status["pid"], signal.SIGTERM)
            deadline = time.monotonic() + 90
            while _alive(status["pid"], status["started"]):
                if time.monotonic() > deadline:
                    os.kill(status["pid"], signal.SIGKILL)
                time.sleep(0.1)
        left = _sweep(settings, status)
        return bool(status["running"] or left)


def _sweep(settings: Settings, status: dict[str, Any]) -> bool:
    """Stop the process sessions that a killed supervisor left, dependents first."""
    any_left = False
    for service in reversed(all_services(settings)):
        state = status["services"].get(service.name)
        if state and state["pid"] and session_members(state["pid"], state["started"]):
            any_left = True
            empty_session(state["pid"], state["started"], service.stop_signal, 5.0)
    _status_file(settings).unlink(missing_ok=True)
    return any_left
