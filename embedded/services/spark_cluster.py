"""A small Spark standalone cluster: master, two workers, and a Connect server in front of them.

It is started only by ``python -m embedded up --only spark-cluster``. Jobs use it if
`TOLLGATE_SPARK__REMOTE` is the address that `remote` returns. It runs executors in separate
processes on one machine; `docs/scale.md` has the settings for several machines.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

from contracts.settings import HOST, Settings
from embedded import jars, secrets
from embedded.places import site_packages
from embedded.services.common import environment, http_ok, job, owns_port
from embedded.services.spark import connect_server, java_options, java_variables
from embedded.supervisor import Launch, Service
from spark.conf import cluster_conf, standalone_conf

WORKERS: Final = ("spark-worker-1", "spark-worker-2")
_DAEMON_MEMORY: Final = "192m"
_WORKER_MEMORY: Final = "1g"
_WORKER_CORES: Final = "1"


def remote(settings: Settings) -> str:
    """Return the address of the cluster's Connect server with the token in it: never log it."""
    token = secrets.read(settings.secrets_dir, "spark_token")
    return f"sc://localhost:{settings.port('spark-cluster')}/;token={token}"


def _home(settings: Settings, name: str) -> Path:
    """Return the folder of a service, without files of earlier runs."""
    home = settings.state_dir / name
    shutil.rmtree(home, ignore_errors=True)
    for folder in ("conf", "local", "work"):
        (home / folder).mkdir(parents=True, mode=0o700)
    return home


def _daemon(settings: Settings, name: str, *argv: str) -> Launch:
    """Return the launch of a Spark class; secrets are in a private file."""
    home = _home(settings, name)
    properties = home / "conf" / "daemon.properties"
    conf = standalone_conf(secrets.read(settings.secrets_dir, "spark_cluster"))
    secrets.write_private(properties, "".join(f"{key} {conf[key]}\n" for key in sorted(conf)))
    spark_home = site_packages() / "pyspark"
    variables = {
        **java_variables(),
        "SPARK_HOME": str(spark_home),
        "SPARK_CONF_DIR": str(home / "conf"),
        "SPARK_LOCAL_DIRS": str(home / "local"),
        "SPARK_WORKER_DIR": str(home / "work"),
        "SPARK_DAEMON_MEMORY": _DAEMON_MEMORY,
        # A daemon does too little work for the optimising compiler.
        "SPARK_DAEMON_JAVA_OPTS": f"{java_options(home / 'local', 1)} -XX:TieredStopAtLevel=1",
        "SPARK_NO_DAEMONIZE": "1",
        "MALLOC_ARENA_MAX": "2",
    }
    command = [str(spark_home / "bin" / "spark-class"), *argv, "--properties-file", str(properties)]
    return Launch(command, environment(settings, variables), home)


def _master(settings: Settings) -> Launch:
    return _daemon(
        settings,
        "spark-master",
        "org.apache.spark.deploy.master.Master",
        *("--host", HOST, "--port", str(settings.port("spark-master"))),
        *("--webui-port", str(settings.port("spark-master-page"))),
    )


def _worker(settings: Settings, name: str) -> Launch:
    return _daemon(
        settings,
        name,
        "org.apache.spark.deploy.worker.Worker",
        *("--host", HOST, "--port", "0", "--webui-port", "0"),
        *("--cores", _WORKER_CORES, "--memory", _WORKER_MEMORY),
        _master_url(settings),
    )


def _master_url(settings: Settings) -> str:
    return f"spark://{HOST}:{settings.port('spark-master')}"


def _connect(settings: Settings) -> Launch:
    conf = {
        **cluster_conf(
            settings,
            master=_master_url(settings),
            secret=secrets.read(settings.secrets_dir, "spark_cluster"),
            class_path=jars.class_path(),
        ),
        "spark.connect.grpc.binding.port": str(settings.port("spark-cluster")),
    }
    return connect_server(settings, _home(settings, "spark-cluster"), conf)


def master_state(settings: Settings) -> dict[str, Any]:
    """Return the master's state of workers and applications, empty while it is unavailable."""
    page = http_ok(f"http://{HOST}:{settings.port('spark-master-page')}/json/")
    return {} if page is None else dict(json.loads(page))


def _has_joined(settings: Settings, pid: int, started: float) -> bool:
    """Return whether the master has registered this worker as alive."""
    return any(
        worker["state"] == "ALIVE" and owns_port(pid, started, worker["port"])
        for worker in master_state(settings).get("workers", [])
    )


def services(settings: Settings) -> list[Service]:
    """Declare the services of the cluster."""
    port = settings.port("spark-cluster")
    return [
        Service(
            name="spark-master",
            launch=lambda: _master(settings),
            ready=lambda pid, started: owns_port(pid, started, settings.port("spark-master-page")),
            port=settings.port("spark-master"),
            url=_master_url(settings),
            optional=True,
        ),
        *(
            Service(
                name=name,
                launch=lambda name=name: _worker(settings, name),  # type: ignore[misc]
                ready=lambda pid, started: _has_joined(settings, pid, started),
                needs=("spark-master",),
                optional=True,
            )
            for name in WORKERS
        ),
        Service(
            name="spark-cluster",
            launch=lambda: _connect(settings),
            ready=lambda pid, started: owns_port(pid, started, port),
            needs=("postgres", "s3", *WORKERS),
            after_ready=lambda: job(
                settings,
                "spark",
                environment(settings, {"TOLLGATE_SPARK__REMOTE": remote(settings)}),
            ),
            port=port,
            url=f"sc://localhost:{port}",
            optional=True,
        ),
    ]
