"""The four Airflow services, with a LocalExecutor whose workers are forks of the scheduler."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from contracts.settings import HOST, Settings, WarehouseRole
from embedded import secrets
from embedded.places import REPO, python
from embedded.services.common import command, environment, http_ok, owns_port
from embedded.services.s3 import ROLES
from embedded.services.spark import java_variables
from embedded.supervisor import Launch, Service

_WAREHOUSE_ROLES: tuple[WarehouseRole, ...] = ("loader", "transformer", "reader")
_PREWARM = Path(__file__).with_name("airflow_local_settings.py")


def _home(settings: Settings) -> Path:
    return settings.state_dir / "airflow"


def connections(settings: Settings) -> dict[str, str]:
    """Return the connections that DAGs use, as Airflow reads them from its environment."""
    connections: dict[str, dict[str, Any]] = {}
    for role in ROLES:
        access, secret = settings.s3.keys(role)
        connections[f"s3_{role}"] = {
            "conn_type": "aws",
            "login": access,
            "password": secret.get_secret_value(),
            "extra": {
                "endpoint_url": settings.s3.endpoint,
                "region_name": settings.s3.region,
                "config_kwargs": {"signature_version": "s3v4"},
            },
        }
    warehouse = settings.warehouse
    for database_role in _WAREHOUSE_ROLES:
        connections[f"warehouse_{database_role}"] = {
            "conn_type": "postgres",
            "host": warehouse.host,
            "port": warehouse.port,
            "schema": warehouse.database,
            "login": warehouse.user(database_role),
            "password": warehouse.password(database_role).get_secret_value(),
        }
    return {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()
    }


def _options(settings: Settings) -> dict[str, str]:
    """Return Airflow's options as ``section.key``."""
    home, url = _home(settings), settings.airflow.url
    password = quote(secrets.read(settings.secrets_dir, "airflow_db"), safe="")
    login = f"airflow:{password}@{HOST}:{settings.port('postgres')}"
    return {
        "core.dags_folder": str(REPO / "dags"),
        "core.plugins_folder": str(REPO / "plugins"),
        "core.load_examples": "False",
        "core.executor": "LocalExecutor",
        "core.parallelism": "3",
        "core.execution_api_server_url": f"{url}/execution/",
        "core.fernet_key": secrets.read(settings.secrets_dir, "airflow_fernet"),
        "core.simple_auth_manager_users": f"{settings.airflow.username}:admin",
        "core.simple_auth_manager_passwords_file": str(home / "passwords.json"),
        "core.default_timezone": "utc",
        "core.dags_are_paused_at_creation": "True",
        "database.sql_alchemy_conn": f"postgresql+psycopg2://{login}/airflow",
        "database.sql_alchemy_pool_size": "5",
        "api.host": HOST,
        "api.port": str(settings.port("airflow-api")),
        "api.base_url": url,
        "api.workers": "1",
        "api.secret_key": secrets.read(settings.secrets_dir, "airflow_session_key"),
        "api.expose_config": "False",
        "api_auth.jwt_secret": secrets.read(settings.secrets_dir, "airflow_jwt"),
        # On average the next task starts after half of this interval; each poll takes 40 ms of CPU.
        "scheduler.scheduler_idle_sleep_time": "0.4",
        "scheduler.enable_health_check": "False",
        "dag_processor.refresh_interval": "20",
        # A changed file is parsed at the next refresh; parsing the other files takes 3 s of CPU.
        "dag_processor.min_file_process_interval": "300",
        "dag_processor.parsing_processes": "1",
        "logging.base_log_folder": str(home / "logs"),
        "logging.remote_logging": "True",
        "logging.remote_base_log_folder": f"s3://{settings.s3.logs_bucket}/airflow",
        "logging.remote_log_conn_id": "s3_platform",
        "logging.encrypt_s3_logs": "False",
        "usage_data_collection.enabled": "False",
        "cosmos.enable_telemetry": "False",
    }


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return the environment for ``airflow`` commands on this platform."""
    options = {}
    for name, value in _options(settings).items():
        section, key = name.split(".")
        options[f"AIRFLOW__{section.upper()}__{key.upper()}"] = value
    return environment(
        settings,
        {
            "AIRFLOW_HOME": str(_home(settings)),
            **options,
            **connections(settings),
            **java_variables(),
            "MALLOC_ARENA_MAX": "2",
        },
    )


def _launch(settings: Settings, *argv: str) -> Launch:
    return Launch(
        [python(), "-m", "airflow", *argv], airflow_environment(settings), _home(settings)
    )


def _launch_api(settings: Settings) -> Launch:
    """Write Airflow's home and migrate its database before the first service starts."""
    home = _home(settings)
    (home / "config").mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(_PREWARM, home / "config" / "airflow_local_settings.py")
    login = {settings.airflow.username: settings.airflow.password.get_secret_value()}
    secrets.write_private(home / "passwords.json", json.dumps(login))
    version = importlib.metadata.version("apache-airflow")
    stamp = home / "migrated"
    if not stamp.is_file() or stamp.read_text() != version:
        command([python(), "-m", "airflow", "db", "migrate"], airflow_environment(settings))
        secrets.write_private(stamp, version)
    return _launch(settings, "api-server")


def health(settings: Settings) -> dict[str, Any] | None:
    """Return the health of each Airflow service, or None when the health page does not respond."""
    body = http_ok(f"{settings.airflow.url}/api/v2/monitor/health")
    return None if body is None else json.loads(body)


def _api_ready(settings: Settings, pid: int, started: float) -> bool:
    return health(settings) is not None and owns_port(pid, started, settings.port("airflow-api"))


def _beats(settings: Settings, part: str) -> Callable[[int, float], bool]:
    """Return a check for a heartbeat after the start: the health page may have old heartbeats."""

    def check(_pid: int, started: float) -> bool:
        state = (health(settings) or {}).get(part) or {}
        beat = state.get(f"latest_{part}_heartbeat")
        if state.get("status") != "healthy" or not beat:
            return False
        return dt.datetime.fromisoformat(beat).timestamp() > started

    return check


def services(settings: Settings) -> list[Service]:
    """Declare the four services; the scheduler waits for the API, which the first tasks need."""
    parts = {
        "scheduler": ("scheduler", "--skip-serve-logs"),
        "dag_processor": ("dag-processor",),
        "triggerer": ("triggerer", "--skip-serve-logs"),
    }
    api = Service(
        name="airflow-api",
        launch=lambda: _launch_api(settings),
        ready=lambda pid, started: _api_ready(settings, pid, started),
        needs=("postgres", "s3"),
        port=settings.port("airflow-api"),
        url=settings.airflow.url,
    )

    def part(name: str, argv: tuple[str, ...]) -> Service:
        return Service(
            name=f"airflow-{argv[0]}",
            launch=lambda: _launch(settings, *argv),
            ready=_beats(settings, name),
            needs=("airflow-api",),
        )

    return [api, *(part(name, argv) for name, argv in parts.items())]
