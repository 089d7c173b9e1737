"""Checks before a start; each failed check has a message with the remedy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from contracts.settings import Settings
from embedded import jars, places
from embedded.services.common import can_enter
from embedded.services.postgres import bin_dir
from embedded.supervisor import Service, port_is_free

_DISK_MIB = 2048
_MEMORY_MIB = {
    **{"postgres": 150, "s3": 100, "spark": 1300, "mlflow": 450, "airflow-api": 350},
    **{"superset": 400, "kafka": 350, "opensearch": 500},
    # Including the executor of the worker.
    **{"spark-cluster": 900, "spark-worker-1": 900, "spark-worker-2": 900},
}
_OTHER_MIB = 250


class PreflightError(RuntimeError):
    """Raised when the platform cannot start; the message has the cause and the remedy."""


def check(settings: Settings, services: Sequence[Service]) -> None:
    """Raise `PreflightError` for the first failed check."""
    names = {service.name for service in services}
    _check_python()
    _check_ports(services)
    _check_disk(settings.state_dir)
    _check_memory(names)
    if "s3" in names and not places.s3_binary().is_file():
        raise PreflightError("The S3 server is not built yet: run `make setup`.")
    try:
        if "superset" in names:
            places.superset_bin()
        if names & {"spark", "spark-cluster"}:
            jars.class_path()
            places.java_environment()
        if "kafka" in names:
            jars.class_path(places.KAFKA_LOCK)
            places.java_environment()
        if "opensearch" in names:
            jars.class_path(places.OPENSEARCH_LOCK)
            places.java_environment()
    except (jars.JarError, FileNotFoundError) as problem:
        raise PreflightError(str(problem)) from problem
    if "postgres" in names:
        _check_reachable(settings)


def _check_python() -> None:
    if sys.version_info[:2] not in {(3, 11), (3, 12)}:
        raise PreflightError(
            f"Python {sys.version_info.major}.{sys.version_info.minor} cannot run Tollgate: "
            "install Python 3.11 or 3.12 and run `make setup`."
        )


def _check_ports(services: Sequence[Service]) -> None:
    for service in services:
        if service.port is not None and not port_is_free(service.port):
            raise PreflightError(
                f"Port {service.port} ({service.name}) is taken by another program{_who(service)}: "
                "stop that program, or choose other ports with TOLLGATE_PORT_BASE "
                "(for example 16400) and run it again."
            )


def _who(service: Service) -> str:
    """Return the name of the program that uses the port, if the system reports it."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            port = connection.laddr.port if connection.laddr else None
            if connection.status != psutil.CONN_LISTEN or port != service.port:
                continue
            if connection.pid:
                return f" ({psutil.Process(connection.pid).name()}, pid {connection.pid})"
    except psutil.Error:
        return ""
    return ""


def _check_disk(state_dir: Path) -> None:
    existing = next(path for path in (state_dir, *state_dir.parents) if path.exists())
    free = shutil.disk_usage(existing).free // 2**20
    if free < _DISK_MIB:
        raise PreflightError(
            f"Only {free} MiB are free under {existing} and {_DISK_MIB} are needed: free some, "
            "or put the state elsewhere with TOLLGATE_STATE_DIR."
        )


def _check_memory(names: set[str]) -> None:
    needed = sum(_MEMORY_MIB.get(name, _OTHER_MIB) for name in names)
    available = psutil.virtual_memory().available // 2**20
    if available < needed:
        raise PreflightError(
            f"Only {available} MiB of memory are available and about {needed} are needed: close "
            "other programs, or start a part with `python -m embedded up --only postgres,s3`."
        )


def _check_reachable(settings: Settings) -> None:
    """Check that the unprivileged user that replaces root can access Postgres and its data."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    for folder in (bin_dir(), settings.state_dir):
        if not can_enter(folder) and not shutil.which("setpriv"):
            raise PreflightError(
                f"You are root, and the unprivileged user that Postgres must run as cannot reach "
                f"{folder}: work as an ordinary user, clone the repository to a folder that "
                "others may enter, or install `setpriv` (package util-linux)."
            )
