"""Supervisor: runs services in dependency order, restarts crashed ones, and stops all processes.

Each service leads a separate process session and logs to a file. One thread for each service
starts, watches and restarts it. Stopping a service stops all processes of its session, because some
children ignore SIGTERM.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_STOP_SECONDS = 15.0
_BACKOFF_SECONDS = (0.0, 1.0, 2.0, 5.0, 10.0)
_CALM_SECONDS = 60.0
_GIVE_UP_AFTER = 8
_GIVE_UP_UNBORN_AFTER = 2


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Launch:
    """How to start a program; `user` is (uid, gid) to drop to."""

    command: Sequence[str]
    environment: dict[str, str]
    cwd: Path | None = None
    user: tuple[int, int] | None = None


@dataclass(frozen=True)
class Service:
    """One long-running program.

    `launch` prepares the start and returns the command. `ready` gets the pid and start time of the
    process, so that it can reject another server on the same port. An `optional` service runs only
    when it is named.
    """

    name: str
    launch: Callable[[], Launch]
    ready: Callable[[int, float], bool]
    needs: tuple[str, ...] = ()
    after_ready: Callable[[], None] = _nothing
    stop_signal: signal.Signals = signal.SIGTERM
    ready_seconds: float = 180.0
    port: int | None = None
    url: str | None = None
    optional: bool = False


@dataclass
class _Life:
    state: str = "waiting"
    pid: int = 0
    started: float = 0.0
    restarts: int = 0
    problem: str = ""
    born: bool = False
    ready: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)


def port_is_free(port: int) -> bool:
    """Return whether a server can bind the port on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def session_members(leader: int, since: float) -> list[psutil.Process]:
    """Return the running members of a session, unless its id now belongs to another session."""
    members = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) != leader:
                continue
            process = psutil.Process(pid)
            if pid == leader and abs(process.create_time() - since) > 2:
                return []
            if process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, PermissionError, psutil.Error):
            continue
    return members


def _send(members: list[psutil.Process], number: signal.Signals) -> None:
    for process in members:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue


def empty_session(leader: int, since: float, first: signal.Signals, patience: float) -> None:
    """Signal the process group, wait until the session is empty, then kill remaining processes."""
    try:
        if session_members(leader, since):
            os.killpg(leader, first)
    except (ProcessLookupError, PermissionError):
        _send(session_members(leader, since), first)
    deadline = time.monotonic() + patience
    while members := session_members(leader, since):
        if time.monotonic() > deadline:
            _send(members, signal.SIGKILL)
        time.sleep(0.1)


class Supervisor:
    """Keeps a set of services running until it is stopped."""

    def __init__(self, services: Sequence[Service], logs: Path, status_file: Path) -> None:
        self._services = {service.name: service for service in services}
        self._lives = {service.name: _Life() for service in services}
        self._logs = logs
        self._status_file = status_file
        self._stopping = threading.Event()
        self._wanted: set[str] = set()
        self._lock = threading.Lock()
        self._spawning = threading.Lock()

    def run(self, wanted: Callable[[], Sequence[str]]) -> None:
        """Run until SIGTERM or SIGINT; SIGHUP calls `wanted` again for more services."""
        if sys.platform == "linux":
            subreaper = 36
            ctypes.CDLL(None).prctl(subreaper, 1, 0, 0, 0)
        again = threading.Event()

        def stop(*_: object) -> None:
            self._stopping.set()
            again.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        signal.signal(signal.SIGHUP, lambda *_: again.set())
        self._logs.mkdir(parents=True, exist_ok=True)
        while not self._stopping.is_set():
            for name in wanted():
                self._want(name)
            self._write_status()
            while not again.wait(1.0) and not self._stopping.is_set():
                self._adopt_orphans()
                self._write_status()
            again.clear()
        self._stop_all()

    def _want(self, name: str) -> None:
        """Start a service, or a failed one again, after its dependencies."""
        life = self._lives[name]
        if name not in self._wanted or life.state == "failed":
            self._wanted.add(name)
            life.gone.clear()
            life.state, life.problem, life.restarts = "waiting", "", 0
            for need in self._services[name].needs:
                self._want(need)
            threading.Thread(target=self._live, args=(name,), daemon=True).start()

    def _live(self, name: str) -> None:
        service, life = self._services[name], self._lives[name]
        try:
            while not self._stopping.is_set():
                if not all(self._lives[need].ready.wait(0.2) for need in service.needs):
                    continue
                began = time.monotonic()
                self._once(service, life)
                if self._stopping.is_set():
                    break
                # After a period without crashes, earlier ones are ignored.
                calm = life.born and time.monotonic() - began > _CALM_SECONDS
                life.restarts = 1 if calm else life.restarts + 1
                if life.restarts > (_GIVE_UP_AFTER if life.born else _GIVE_UP_UNBORN_AFTER):
                    life.state = "failed"
                    return
                life.state = "restarting"
                pause = _BACKOFF_SECONDS[min(life.restarts, len(_BACKOFF_SECONDS)) - 1]
                self._stopping.wait(pause)
        finally:
            life.gone.set()

    def _once(self, service: Service, life: _Life) -> None:
        """Start the service, wait until it is ready and until it ends, then empty its session."""
        process: subprocess.Popen[bytes] | None = None
        life.state, life.problem = "starting", ""
        try:
            if service.port is not None and not port_is_free(service.port):
                raise RuntimeError(f"port {service.port} is taken by another program")
            process = self._spawn(service, service.launch(), life)
            self._write_status()
            self._wait_ready(service, life, process)
            if not self._stopping.is_set():
                process.wait()
                life.problem = f"ended with code {process.returncode}"
        except Exception as problem:
            life.problem = f"{type(problem).__name__}: {problem}"
        if not self._stopping.is_set():
            life.ready.clear()
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            print(f"{stamp} {service.name}: {life.problem}; starting it again", flush=True)
            if process is not None:
                empty_session(process.pid, life.started, service.stop_signal, 2.0)
                process.wait()

    def _spawn(self, service: Service, launch: Launch, life: _Life) -> subprocess.Popen[bytes]:
        uid, gid = launch.user or (None, None)
        with (self._logs / f"{service.name}.log").open("ab") as log, self._spawning:
            if self._stopping.is_set():  # the stop may have passed this service already
                raise RuntimeError("the platform stops")
            process = subprocess.Popen(
                list(launch.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=launch.environment,
                cwd=launch.cwd,
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
                start_new_session=True,
            )
            life.pid, life.started = process.pid, psutil.Process(process.pid).create_time()
        return process

    def _wait_ready(self, service: Service, life: _Life, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + service.ready_seconds
        while not self._stopping.is_set():
            if process.poll() is not None:
                raise RuntimeError(f"ended with code {process.returncode} before it was ready")
            if service.ready(process.pid, life.started):
                service.after_ready()
                life.state, life.born = "ready", True
                life.ready.set()
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ready after {service.ready_seconds:.0f} s")
            self._stopping.wait(0.2)

    def _stop_all(self) -> None:
        """Stop dependents before their dependencies, each level in parallel."""
        left = set(self._wanted)
        while left:
            needed = {need for name in left for need in self._services[name].needs}
            wave = [threading.Thread(target=self._stop, args=(name,)) for name in left - needed]
            for thread in wave:
                thread.start()
            for thread in wave:
                thread.join()
            left &= needed
        self._adopt_orphans(everything=True)
        self._status_file.unlink(missing_ok=True)

    def _stop(self, name: str) -> None:
        service, life = self._services[name], self._lives[name]
        life.state = "stopping"
        with self._spawning:
            pid, started = life.pid, life.started
        if pid:
            empty_session(pid, started, service.stop_signal, _STOP_SECONDS)
        life.gone.wait(_STOP_SECONDS)

    def _adopt_orphans(self, everything: bool = False) -> None:
        """Kill orphans that left the session of their service; this process is their subreaper."""
        with self._spawning:
            leaders = set() if everything else {life.pid for life in self._lives.values()}
            for child in psutil.Process().children():
                try:
                    session = os.getsid(child.pid)
                    if session in leaders or session == os.getsid(0):
                        continue
                    child.kill()
                    os.waitpid(child.pid, os.WNOHANG if not everything else 0)
                except (ProcessLookupError, ChildProcessError, psutil.Error):
                    continue

    def _write_status(self) -> None:
        with self._lock:
            services = {
                name: {
                    "state": life.state,
                    "pid": life.pid,
                    "started": life.started,
                    "restarts": life.restarts,
                    "problem": life.problem,
                    "port": self._services[name].port,
                    "url": self._services[name].url,
                }
                for name, life in self._lives.items()
                if name in self._wanted
            }
            own = psutil.Process()
            status = {"pid": own.pid, "started": own.create_time(), "services": services}
            part = self._status_file.with_suffix(".part")
            part.write_text(json.dumps(status))
            part.replace(self._status_file)
