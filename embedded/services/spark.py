"""The Spark Connect server: one long-running driver for all jobs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from contracts.settings import Settings
from embedded import jars, secrets
from embedded.places import REPO, java_environment, python, site_packages
from embedded.services.common import environment, job, owns_port
from embedded.supervisor import Launch, Service
from spark.conf import COMPILE_LONG, server_conf


def java_variables() -> dict[str, str]:
    """Return the environment variables for Spark sessions in a process."""
    return {**java_environment(), "PYSPARK_PYTHON": python(), "SPARK_LOCAL_IP": "127.0.0.1"}


def _launch(settings: Settings) -> Launch:
    return connect_server(settings, settings.state_dir / "spark", server_conf(settings))


def connect_server(settings: Settings, home: Path, conf: Mapping[str, str]) -> Launch:
    """Return the launch of a Connect server with this configuration in the folder `home`."""
    # Remove the shuffle files of a killed driver.
    shutil.rmtree(home / "local", ignore_errors=True)
    for name in ("conf", "local"):
        (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    # Secrets are in a private file, because other users can see command lines.
    properties = home / "conf" / "server.properties"
    conf = {
        **conf,
        "spark.local.dir": str(home / "local"),
        "spark.log.level": "WARN",
        "spark.connect.authenticate.token": secrets.read(settings.secrets_dir, "spark_token"),
    }
    secrets.write_private(properties, "".join(f"{key} {conf[key]}\n" for key in sorted(conf)))
    spark_home = site_packages() / "pyspark"
    argv = [
        str(spark_home / "bin" / "spark-submit"),
        *("--properties-file", str(properties), "--driver-class-path", jars.class_path()),
        *("--driver-java-options", java_options(home / "local", os.cpu_count() or 1)),
        str(REPO / "spark" / "connect_driver.py"),
    ]
    variables = {
        **java_variables(),
        "SPARK_HOME": str(spark_home),
        "SPARK_CONF_DIR": str(home / "conf"),
        "SPARK_NO_DAEMONIZE": "1",
        # Without this, idle malloc arenas take about 100 MB.
        "MALLOC_ARENA_MAX": "2",
    }
    return Launch(argv, environment(settings, variables), home)


def java_options(scratch: Path, cores: int) -> str:
    """Return the options of a Java process that uses `cores` cores."""
    options = ["-XX:+UseSerialGC"] if cores < 2 else ["-XX:+UseParallelGC"]
    options += [COMPILE_LONG, "-Djava.net.preferIPv4Stack=true", f"-Djava.io.tmpdir={scratch}"]
    if sys.platform == "linux":
        options.append("-XX:-UsePerfData")
    return " ".join(options)


def service(settings: Settings) -> Service:
    """Declare the Spark Connect server; it is ready when it has answered a query."""
    return Service(
        name="spark",
        launch=lambda: _launch(settings),
        ready=lambda pid, started: owns_port(pid, started, settings.port("spark")),
        needs=("postgres", "s3"),
        after_ready=lambda: job(settings, "spark"),
        port=settings.port("spark"),
        url=f"sc://localhost:{settings.port('spark')}",
    )
