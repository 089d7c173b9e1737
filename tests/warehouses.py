"""Migrated warehouses for tests, each in its own empty database."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from contracts.settings import Settings
from embedded.services.postgres import create_developer_schema
from warehouse.migrate import migrate


class Warehouses:
    """Makes warehouses on one Postgres server and drops them.

    Names are used again: what dbt reads of its project is valid for one database name only, costs
    ten CPU seconds, and is copied into the state folder of the next warehouse of that name.
    """

    def __init__(self, server: Settings, folder: Path) -> None:
        """Make databases on the Postgres of `server`; keep state folders under `folder`."""
        self._server, self._folder = server, folder
        self._used: set[str] = set()
        self._made = 0

    @contextmanager
    def borrowed(self) -> Iterator[Settings]:
        """Yield the settings of a new warehouse with an empty state folder; drop it at the end."""
        name = next(n for i in range(100) if (n := f"warehouse_test_{i}") not in self._used)
        self._used.add(name)
        self._made += 1
        own = self._server.model_copy(
            update={
                "state_dir": self._folder / str(self._made),
                "warehouse": self._server.warehouse.model_copy(update={"database": name}),
            }
        )
        kept, dbt = self._folder / f"dbt of {name}", own.state_dir / "dbt"
        own.state_dir.mkdir()
        if kept.exists():
            shutil.copytree(kept, dbt)
        with self._administrator() as admin:
            database = sql.Identifier(name)
            admin.execute(sql.SQL("create database {}").format(database))
            for role in ("loader", "transformer"):
                user = sql.Identifier(own.warehouse.user(role))
                admin.execute(sql.SQL("grant create on database {} to {}").format(database, user))
        with self._administrator(name) as admin:
            create_developer_schema(admin, own)
        migrate(own)
        try:
            yield own
        finally:
            with self._administrator() as admin:
                _drop(admin, name)
            self._used.remove(name)
            if dbt.exists() and not kept.exists():
                shutil.copytree(dbt, kept)

    @contextmanager
    def _administrator(self, database: str = "postgres") -> Iterator[psycopg.Connection]:
        where = self._server.warehouse
        password = (self._server.secrets_dir / "postgres_superuser").read_text().strip()
        with psycopg.connect(
            host=where.host,
            port=where.port,
            user="postgres",
            password=password,
            dbname=database,
            autocommit=True,
        ) as connection:
            yield connection


# Postgres gives up after 5 s on a database whose own vacuum does not leave.
@retry(
    retry=retry_if_exception_type(psycopg.errors.ObjectInUse),
    stop=stop_after_attempt(5),
    reraise=True,
)
def _drop(admin: psycopg.Connection, name: str) -> None:
    admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
