"""Output of the platform's command line."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import psutil
from rich.console import Console
from rich.table import Table

from contracts.settings import Settings
from embedded.platform import down, logs_dir, read_status
from embedded.supervisor import session_members
from warehouse import dbt_runner

_shown: dict[str, str] = {}
_began = time.monotonic()


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def progress(states: dict[str, Any]) -> None:
    """Print the state of a service when it changes."""
    for name, state in states.items():
        text = state["state"] + (f": {state['problem']}" if state.get("problem") else "")
        if state["state"] != "waiting" and _shown.get(name) != text:
            _shown[name] = text
            say(f"{time.monotonic() - _began:6.1f} s  {name:<22} {text}")


def resident_mib(pid: int, started: float) -> float:
    """Return the memory of a service: proportional if the system reports it, else resident."""
    total = 0
    family: dict[int, psutil.Process] = {}
    for member in session_members(pid, started):
        family[member.pid] = member
        try:
            family.update({child.pid: child for child in member.children(recursive=True)})
        except psutil.Error:
            continue
    for process in family.values():
        try:
            memory = process.memory_full_info() if sys.platform == "linux" else None
            total += memory.pss if memory else process.memory_info().rss
        except psutil.Error:
            continue
    return total / 2**20


def service_rows(settings: Settings) -> list[dict[str, Any]]:
    """Return name, state, port, address, pid, restarts and memory of each service."""
    status = read_status(settings)
    rows = []
    for name, state in status["services"].items():
        alive = bool(session_members(state["pid"], state["started"])) if state["pid"] else False
        rows.append(
            {
                "name": name,
                "state": state["state"] if alive or status["running"] else "stopped",
                "port": state["port"],
                "url": state["url"],
                "pid": state["pid"],
                "restarts": state["restarts"],
                "resident_mib": round(resident_mib(state["pid"], state["started"]), 1)
                if alive
                else 0.0,
                "problem": state["problem"],
            }
        )
    if status["running"]:
        own = psutil.Process(status["pid"])
        rows.append(
            {
                "name": "supervisor",
                "state": "ready",
                "port": None,
                "url": None,
                "pid": own.pid,
                "restarts": 0,
                "resident_mib": round(own.memory_info().rss / 2**20, 1),
                "problem": "",
            }
        )
    return rows


def print_status(settings: Settings, *, as_json: bool = False) -> int:
    """Show every service; return 0 when all required services run."""
    rows = service_rows(settings)
    running = read_status(settings)["running"]
    healthy = running and all(row["state"] == "ready" for row in rows)
    if as_json:
        say(json.dumps({"running": running, "healthy": healthy, "services": rows}, indent=2))
        return 0 if healthy else 3
    if not rows:
        say("The platform is not running. Start it with `make up`.")
        return 3
    table = Table()
    for column in ("service", "state", "port", "address", "restarts", "MiB"):
        table.add_column(column, justify="right" if column in {"port", "MiB"} else "left")
    for row in rows:
        state = row["state"] + (f" ({row['problem']})" if row["problem"] else "")
        cells = (row["name"], state, row["port"] or "", row["url"] or "", row["restarts"])
        table.add_row(*map(str, cells), f"{row['resident_mib']:.0f}")
    table.add_row("together", "", "", "", "", f"{sum(row['resident_mib'] for row in rows):.0f}")
    Console().print(table)
    if not running:
        say("The supervisor is gone. `make up` clears what it left and starts again.")
    return 0 if healthy else 3


def logs(settings: Settings, service: str | None, follow: bool) -> None:
    """Show the last lines of the logs, or follow them."""
    files = sorted(logs_dir(settings).glob(f"{service or '*'}.log"))
    if not files:
        say(f"There is no log in {logs_dir(settings)}.")
        return
    options = ["-n", "20", *(["-F"] if follow else [])]
    subprocess.run(["tail", *options, *map(str, files)], check=False)


def print_exports(settings: Settings, role: Literal["reader", "developer"]) -> None:
    """Print shell exports for access to warehouse, lake and MLflow with the read-only roles.

    For the role developer, they configure `dbt` too, and add it to the path.
    """
    warehouse, lake = settings.warehouse, settings.catalog
    access, secret = settings.s3.keys("reader")
    exports = {
        "PGHOST": warehouse.host,
        "PGPORT": str(warehouse.port),
        "PGDATABASE": warehouse.database,
        "PGUSER": warehouse.user(role),
        "PGPASSWORD": warehouse.password(role).get_secret_value(),
        "PYICEBERG_CATALOG__LAKE__TYPE": "sql",
        "PYICEBERG_CATALOG__LAKE__URI": lake.sqlalchemy_uri("reader"),
        "PYICEBERG_CATALOG__LAKE__INIT_CATALOG_TABLES": "false",
        "PYICEBERG_CATALOG__LAKE__WAREHOUSE": f"s3://{settings.s3.lake_bucket}/warehouse",
        "PYICEBERG_CATALOG__LAKE__S3__ENDPOINT": settings.s3.endpoint,
        "PYICEBERG_CATALOG__LAKE__S3__REGION": settings.s3.region,
        "AWS_ENDPOINT_URL_S3": settings.s3.endpoint,
        "AWS_DEFAULT_REGION": settings.s3.region,
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret.get_secret_value(),
        "MLFLOW_TRACKING_URI": settings.mlflow.tracking_uri,
        "MLFLOW_TRACKING_USERNAME": settings.mlflow.reader_username,
        "MLFLOW_TRACKING_PASSWORD": settings.mlflow.reader_password.get_secret_value(),
    }
    if role == "developer":
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        exports |= {**dbt_runner.login(settings, role), "PATH": path}
    for name, value in exports.items():
        say(f"export {name}={shlex.quote(value)}")


def print_login(settings: Settings) -> None:
    """Print addresses and passwords of the web pages."""
    airflow, mlflow = settings.airflow, settings.mlflow
    say(f"Airflow  {airflow.url}  {airflow.username}  {airflow.password.get_secret_value()}")
    say(
        f"MLflow   {mlflow.tracking_uri}/#/experiments  {mlflow.username}  "
        f"{mlflow.password.get_secret_value()}"
    )
    superset = settings.superset
    if read_status(settings)["services"].get("superset"):
        say(f"Superset {superset.url}  {superset.username}  {superset.password.get_secret_value()}")
    api = settings.api
    if read_status(settings)["services"].get("api"):
        say(f"Decision API {api.url}/docs  {api.username}  {api.password.get_secret_value()}")
    say('Warehouse, lake and MLflow for reading: eval "$(make -s env)"')


def clean(settings: Settings, yes: bool) -> int:
    """Stop the platform and remove its state folder, after asking."""
    if not settings.state_dir.exists():
        say(f"{settings.state_dir} does not exist.")
        return 0
    if not settings.secrets_dir.is_dir():
        say(f"{settings.state_dir} is not a state folder of Tollgate: remove it yourself.")
        return 1
    if not yes:
        question = f"Remove {settings.state_dir} with all data, models and secrets? [y/N] "
        answer = input(question) if sys.stdin.isatty() else ""
        if answer.strip().lower() not in {"y", "yes"}:
            say("Nothing was removed. (`make clean YES=1` does not ask.)")
            return 1
    down(settings)
    shutil.rmtree(settings.state_dir)
    say(f"{settings.state_dir} was removed.")
    return 0
