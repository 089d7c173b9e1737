"""Helpers of services: environment, readiness checks by process identity, one-shot jobs."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import psutil

from contracts.settings import Settings
from embedded.places import REPO, python
from embedded.supervisor import session_members

# Values of the caller's shell that must not affect the services.
_FOREIGN = (
    *("AIRFLOW", "AWS_", "DBT_", "FLASK_", "JAVA_TOOL", "MLFLOW_", "PG", "PYSPARK", "PYTHON"),
    *("SPARK_", "SUPERSET"),
)
_QUIET = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TZ": "UTC",
}


def environment(settings: Settings, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a service: that of the caller without variables that affect it."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
    mac = {"OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES", "no_proxy": "*"}
    bin_dir = str(Path(python()).parent)
    return {
        **inherited,
        **_QUIET,
        **(mac if sys.platform == "darwin" else {}),
        "PATH": f"{bin_dir}:{inherited.get('PATH', os.defpath)}",
        "PYTHONPATH": str(REPO),
        "TOLLGATE_STATE_DIR": str(settings.state_dir),
        "TOLLGATE_PORT_BASE": str(settings.port_base),
        **(extra or {}),
    }


def owns_port(pid: int, started: float, port: int) -> bool:
    """Return whether a process of this service listens on the port."""
    for process in session_members(pid, started):
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        for connection in connections:
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                return True
    return False


def http_ok(url: str, seconds: float = 3.0) -> bytes | None:
    """Return the body of a 2xx response, else None."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:  # noqa: S310  loopback
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, OSError):
        return None


def job(settings: Settings, name: str, environ: Mapping[str, str] | None = None) -> None:
    """Run a one-shot job of `embedded.bootstrap`; raise with its last output when it fails."""
    command([python(), "-m", "embedded.bootstrap", name], environ or environment(settings))


def command(
    argv: list[str],
    environ: Mapping[str, str],
    seconds: float = 240.0,
    given: str = "",
    cwd: Path = REPO,
) -> None:
    """Run a program with `given` on its input; raise with its last output when it fails."""
    run = subprocess.run(
        argv,
        env=dict(environ),
        cwd=cwd,
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    if run.returncode:
        tail = (run.stdout + run.stderr).strip().splitlines()[-6:]
        raise RuntimeError(f"{Path(argv[0]).name} {' '.join(argv[1:4])}: " + " | ".join(tail))


@lru_cache(maxsize=1)
def unprivileged() -> tuple[int, int] | None:
    """Return (uid, gid) for programs that refuse root, or None if this process is not root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def can_enter(folder: Path) -> bool:
    """Return whether the unprivileged user can access a folder; root's home is not accessible."""
    user = unprivileged()
    if user is None:
        return True
    test = ["test", "-x", str(folder)]
    run = subprocess.run(test, user=user[0], group=user[1], extra_groups=[], cwd="/", check=False)
    return run.returncode == 0


def dropping_root(argv: list[str], folders: list[Path]) -> tuple[list[str], tuple[int, int] | None]:
    """Return the command and the user to run it as.

    If the unprivileged user cannot access the folders, the command keeps only the capability to
    enter them (``setpriv``), with the user id of the unprivileged user.
    """
    user = unprivileged()
    if user is None or all(can_enter(folder) for folder in folders):
        return argv, user
    keep = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]
    ids = ["--reuid", str(user[0]), "--regid", str(user[1]), "--clear-groups"]
    return ["setpriv", *ids, *keep, "--", *argv], None
