"""A temporary copy of the warehouse in a separate database, to build marts in."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg
from psycopg import sql

from contracts.render import to_postgres
from contracts.settings import HOST, Settings
from contracts.tables import zone
from embedded import secrets
from warehouse import partition_exchange
from warehouse.migrate import migrate

_BUILT = ("production", "production_audit")


@dataclass(frozen=True)
class Copy:
    """A copy: its settings, and those of its platform."""

    settings: Settings
    platform: Settings

    def empty(self) -> None:
        """Remove what dbt built."""
        with _administrator(self.platform, self.settings.warehouse.database) as admin:
            for schema in _BUILT:
                drop = sql.SQL("drop schema if exists {} cascade")
                admin.execute(drop.format(sql.Identifier(schema)))
        migrate(self.settings)

    def forget_before(self, day: date) -> None:
        """Drop the partitions of STAGING with days before `day`."""
        with _administrator(self.platform, self.settings.warehouse.database) as admin:
            for table in zone("staging"):
                if table.partition_by is None:
                    continue
                partitions = admin.execute(
                    "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
                    " where i.inhparent = %s::regclass and c.relname < %s",
                    (table.name, to_postgres.partition_name(table, day)),
                ).fetchall()
                for (name,) in partitions:
                    admin.execute(
                        sql.SQL("drop table {}").format(
                            sql.Identifier(partition_exchange.SCHEMA, name)
                        )
                    )


@contextmanager
def copied_warehouse(settings: Settings, name: str) -> Iterator[Copy]:
    """Yield a copy with the STAGING of the warehouse and without marts.

    Raises:
        psycopg.errors.ObjectInUse: when somebody is connected to the warehouse; nobody may be.
    """
    database, original = sql.Identifier(name), sql.Identifier(settings.warehouse.database)
    with _administrator(settings, "postgres") as admin:
        admin.execute(sql.SQL("drop database if exists {}").format(database))
        admin.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(database, original)
        )
        for role in ("loader", "transformer"):
            user = sql.Identifier(settings.warehouse.user(role))
            admin.execute(sql.SQL("grant create on database {} to {}").format(database, user))
        state = Path(tempfile.mkdtemp(prefix=f"tollgate-{name}-"))
        own = {
            "state_dir": state,
            "warehouse": settings.warehouse.model_copy(update={"database": name}),
        }
        try:
            copy = Copy(settings.model_copy(update=own), settings)
            copy.empty()
            yield copy
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(database))
            shutil.rmtree(state)


@contextmanager
def _administrator(settings: Settings, database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host=HOST,
        port=settings.port("postgres"),
        user="postgres",
        password=secrets.read(settings.secrets_dir, "postgres_superuser"),
        dbname=database,
        autocommit=True,
    ) as connection:
        yield connection
