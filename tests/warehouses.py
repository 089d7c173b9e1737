"""Migrated warehouses for tests, each in its own empty database."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from contracts.settings import Settings
from contracts.windows import Window
from embedded.services.postgres import create_developer_schema
from warehouse import transform
from warehouse.migrate import migrate


class Warehouses:
    """Makes warehouses on one Postgres server and drops them.

    Each is a copy of a template, which takes a quarter of a second. Names are used again: what dbt
    reads of its project is valid for one database name only, costs ten CPU seconds, and is copied
    into the state folder of the next warehouse of that name.
    """

    def __init__(self, server: Settings, folder: Path) -> None:
        """Make databases on the Postgres of `server`; keep state folders under `folder`."""
        self.server, self._folder = server, folder
        self._used: set[str] = set()
        self._made = 0
        self._template: str | None = None
        self._template_with_marts: str | None = None

    @contextmanager
    def borrowed(self) -> Iterator[Settings]:
        """Yield the settings of a new warehouse with an empty state folder; drop it at the end."""
        if self._template is None:
            self._template = "warehouse_template"
            self._create(self._template, "template1")
            migrate(self._settings_of(self._template))
        with self._copied(self._template) as own:
            yield own

    @contextmanager
    def borrowed_with_marts(self) -> Iterator[Settings]:
        """Yield a new warehouse as `borrowed` does, in which dbt has built all marts, empty."""
        with self._copied(self.template_with_marts()) as own:
            yield own

    def template_with_marts(self) -> str:
        """Return the name of the template in which all marts exist; the first call builds them."""
        if self._template_with_marts is None:
            with self.borrowed() as own:
                window = Window.of("none", "2024-05-01")
                transform.build_and_publish(own, window=window, run_id="template", dates=())
                with psycopg.connect(own.warehouse.dsn("transformer")) as connection:
                    connection.execute("delete from production_audit.layer_state")
                self._create("warehouse_template_with_marts", own.warehouse.database)
            self._template_with_marts = "warehouse_template_with_marts"
        return self._template_with_marts

    @contextmanager
    def _copied(self, template: str) -> Iterator[Settings]:
        name = next(n for i in range(100) if (n := f"warehouse_test_{i}") not in self._used)
        self._used.add(name)
        self._made += 1
        own = self._settings_of(name).model_copy(
            update={"state_dir": self._folder / str(self._made)}
        )
        kept, dbt = self._folder / f"dbt of {name}", own.state_dir / "dbt"
        own.state_dir.mkdir()
        if kept.exists():
            shutil.copytree(kept, dbt)
        self._create(name, template)
        try:
            yield own
        finally:
            with self._administrator() as admin:
                _drop(admin, name)
            self._used.remove(name)
            if dbt.exists() and not kept.exists():
                shutil.copytree(dbt, kept)

    def _settings_of(self, database: str) -> Settings:
        warehouse = self.server.warehouse.model_copy(update={"database": database})
        return self.server.model_copy(update={"warehouse": warehouse})

    def _create(self, name: str, template: str) -> None:
        """Create a database with the rights that are not part of a template."""
        settings, database = self._settings_of(name), sql.Identifier(name)
        with self._administrator() as admin:
            _drop(admin, name)  # an earlier run on this server may have left it
            _copy(admin, name, template)
            for role in ("loader", "transformer"):
                user = sql.Identifier(settings.warehouse.user(role))
                admin.execute(sql.SQL("grant create on database {} to {}").format(database, user))
        with self._administrator(name) as admin:
            create_developer_schema(admin, settings)

    @contextmanager
    def _administrator(self, database: str = "postgres") -> Iterator[psycopg.Connection]:
        where = self.server.warehouse
        password = (self.server.secrets_dir / "postgres_superuser").read_text().strip()
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
_until_vacuum_leaves = retry(
    retry=retry_if_exception_type(psycopg.errors.ObjectInUse),
    stop=stop_after_attempt(5),
    reraise=True,
)


@_until_vacuum_leaves
def _copy(admin: psycopg.Connection, name: str, template: str) -> None:
    names = sql.Identifier(name), sql.Identifier(template)
    admin.execute(sql.SQL("create database {} template {}").format(*names))


@_until_vacuum_leaves
def _drop(admin: psycopg.Connection, name: str) -> None:
    admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
