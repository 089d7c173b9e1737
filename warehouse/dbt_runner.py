"""Run dbt in this process: its login, a lock for one run at a time, and its result."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, Literal

import psycopg

from contracts.settings import REPO, Settings
from contracts.stages import Layer

PROJECT: Final = REPO / "dbt_project"
_MESSAGE: Final = 300
LOCK: Final = "hashtext('tollgate dbt')"
"""The advisory lock of a running dbt; a load waits for it, so that a build reads one state."""
_IS_ALONE: Final[ContextVar[bool]] = ContextVar("_IS_ALONE", default=False)


class BuildFailed(RuntimeError):
    """Raised when dbt could not build, test or publish; it names what failed in one sentence."""


def operation(
    settings: Settings,
    macro: str,
    layer: Layer | None = None,
    variables: Any = None,
    target: str = "audit",
) -> None:
    """Run a macro of the project, on a layer if it needs one.

    Raises:
        BuildFailed: with the error of the warehouse.
    """
    given = ["--args", f"{{layer: {layer}}}"] if layer else []
    run(settings, layer or "core", ["run-operation", macro], variables or {}, given, target)


def target_path(settings: Settings, target: str) -> Path:
    # One folder for each target, shared by the layers, which run one at a time: dbt's partial
    # parsing stores its state there.
    return settings.state_dir / "dbt" / settings.warehouse.kind / target


def login(settings: Settings, role: Literal["transformer", "developer"]) -> dict[str, str]:
    """Return the login of a role as variables of `dbt_project/profiles.yml`: never log them.

    Raises:
        SettingsError: when a secret is missing.
    """
    warehouse = settings.warehouse
    developing = {"DBT_DEVELOPER_SCHEMA": warehouse.developer_schema}
    if warehouse.kind == "snowflake":
        given = {"port": 0, **settings.snowflake.login(role)}
        shown = ("account", "user", "role", "warehouse", "database", "host", "port", "protocol")
        secret = ("password", "private_key")
        return {
            "DBT_PROFILE": "tollgate_snowflake",
            **{f"SNOWFLAKE_{name.upper()}": str(given.get(name, "")) for name in shown},
            **{f"DBT_ENV_SECRET_{name.upper()}": str(given.get(name, "")) for name in secret},
            **developing,
        }
    return {
        "DBT_PROFILE": "tollgate",
        "PGHOST": warehouse.host,
        "PGPORT": str(warehouse.port),
        "PGDATABASE": warehouse.database,
        "PGUSER": warehouse.user(role),
        "DBT_ENV_SECRET_PASSWORD": warehouse.password(role).get_secret_value(),
        **developing,
    }


@contextmanager
def _logged_in(settings: Settings) -> Iterator[None]:
    """Set the environment variables of dbt while it runs in this process."""
    given = login(settings, "transformer")
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def run(
    settings: Settings,
    layer: Layer,
    command: list[str],
    variables: dict[str, Any],
    selection: list[str],
    target: str = "audit",
) -> list[str]:
    """Run dbt in this process and return the unique ids of the nodes that ran.

    The project is parsed first, without variables: partial parsing reads only changed files, but
    everything when a variable changed.
    """
    from dbt.cli.main import dbtRunner

    # Only the docs need the artifacts that dbt writes.
    files = [] if command[0] == "docs" else ["--no-write-json"]

    def arguments(*given: str) -> list[str]:
        return [
            "--warn-error-options",
            '{"error": ["Deprecations"]}',
            "--no-use-colors",
            "--log-path",
            str(settings.state_dir / "logs" / "dbt"),
            *files,
            *given,
            *("--project-dir", str(PROJECT)),
            *("--profiles-dir", str(PROJECT)),
            *("--target-path", str(target_path(settings, target))),
            *("--target", target),
        ]

    with alone(settings), _logged_in(settings):
        _forget_repeated_flags()
        result = dbtRunner().invoke(arguments("parse"))
        if result.success:
            runner = dbtRunner(manifest=result.result)
            values = ("--vars", json.dumps(variables))
            result = runner.invoke([*arguments(*command), *values, *selection])
    ran = list(getattr(result.result, "results", None) or [])
    failed = [node for node in ran if str(node.status) in ("error", "fail", "runtime error")]
    if result.success and not failed:
        return [_unique_id(node) for node in ran]
    raise BuildFailed(_sentence(command[0], layer, failed, result.exception))


def _forget_repeated_flags() -> None:
    """Keep the start time of dbt in this process constant.

    In dbt-adapters 1.24, each start appends the flags of the adapter to dbt's list of flags, and
    for each flag of the list dbt searches all modules of the process.
    """
    from dbt.adapters.base import impl

    flags = impl.DEFAULT_BASE_BEHAVIOR_FLAGS
    flags[:] = {flag["name"]: flag for flag in flags}.values()


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the lock that lets one dbt at a time write: layers share views and the run marts.

    The caller may run dbt several times under one lock.
    """
    if _IS_ALONE.get():
        yield
        return
    login = settings.warehouse.dsn("transformer")
    with psycopg.connect(login, autocommit=True) as connection:
        connection.execute(f"select pg_advisory_lock({LOCK})".encode())
        token = _IS_ALONE.set(True)
        try:
            yield
        finally:
            _IS_ALONE.reset(token)


def _sentence(command: str, layer: str, failed: list[Any], exception: Any) -> str:
    if not failed:
        cause = _short(exception or "no reason given")
        return f"dbt {command} of layer {layer} failed: {cause}"
    shown = "; ".join(
        f"{_unique_id(node).split('.')[2]} ({_short(node.message)})" for node in failed[:5]
    )
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    return f"dbt {command} of layer {layer} failed at {shown}{more}."


def _unique_id(result: Any) -> str:
    """Return `<kind>.<project>.<name>` of the result of a node or of an operation."""
    return str(getattr(result, "node", result).unique_id)


def _short(message: object) -> str:
    """Return a message on one line, shortened; dbt's log has the full message."""
    text = " ".join(str(message).split())
    return text if len(text) <= _MESSAGE else f"{text[:_MESSAGE]}…"
