"""Sessions on Snowflake."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import psycopg

from contracts.settings import Settings

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

_TIMEOUT = 600
"""Seconds after which a request fails; without a limit the client retries for ever."""


@contextmanager
def connect(settings: Settings, role: Literal["loader", "transformer"]) -> Iterator[Session]:
    """Open a session of a role; an open transaction is rolled back at its end."""
    from snowflake import connector

    logging.getLogger("snowflake.connector").setLevel(logging.ERROR)
    connection = connector.connect(
        **settings.snowflake.login(role),
        network_timeout=_TIMEOUT,
        login_timeout=60,
        # A timestamp without an offset is UTC. The query tag marks the statements of this project.
        session_parameters={
            "TIMEZONE": "UTC",
            "QUERY_TAG": "tollgate",
            "CLIENT_TELEMETRY_ENABLED": False,
            "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False,
        },
    )
    try:
        yield Session(connection)
    finally:
        connection.close()


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Let one process at a time write to STAGING, by a lock in Postgres; Snowflake has none."""
    with psycopg.connect(settings.warehouse.dsn("loader"), autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtext('tollgate snowflake'))")
        yield


class Session:
    """A session: outside of `transaction`, each statement is a separate transaction."""

    def __init__(self, connection: SnowflakeConnection) -> None:
        self._connection = connection

    def run(self, statement: str) -> int:
        """Run a statement and return the number of written rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.rowcount or 0

    def stream(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query as they are fetched."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            for row in cursor:
                yield tuple(row)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return list(self.stream(query))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all statements of the block, or none if one fails."""
        self.run("begin")
        try:
            yield
        except BaseException:
            self.run("rollback")
            raise
        self.run("commit")

    def exists(self, name: str) -> bool:
        """Return whether a table `<schema>.<table>` exists."""
        schema, _, table = name.upper().partition(".")
        counts = self.rows(
            "select count(*) from information_schema.tables"  # noqa: S608 - our own names
            f" where table_schema = '{schema}' and table_name = '{table}'"
        )
        return counts != [(0,)]
