"""Connections to the warehouse, which the API opens again when Postgres was away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

import psycopg

from contracts.settings import Settings, WarehouseRole

_CONNECT_SECONDS: Final = 2
_STATEMENT_MILLISECONDS: Final = 2_000
_PAUSE_SECONDS: Final = 1.0
"""Time without a new attempt after Postgres could not be reached, so that answers stay quick."""
_T = TypeVar("_T")


class Database:
    """Connections of a role, one for each thread."""

    def __init__(self, settings: Settings, role: WarehouseRole) -> None:
        """Connect when a thread first asks."""
        self._dsn = settings.warehouse.dsn(role)
        self._local = threading.local()
        self._next_attempt = 0.0

    def run(self, work: Callable[[psycopg.Connection], _T]) -> _T:
        """Do work in a transaction; once more if the connection of the thread was lost.

        Raises:
            psycopg.Error: when Postgres is away or refuses a statement.
        """
        connection: psycopg.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            try:
                with connection.transaction():
                    return work(connection)
            except psycopg.OperationalError:
                if not connection.closed:
                    raise
        connection = self._local.connection = self._connect()
        with connection.transaction():
            return work(connection)

    def _connect(self) -> psycopg.Connection:
        if time.monotonic() < self._next_attempt:
            raise psycopg.OperationalError("Postgres was away a moment ago")
        try:
            return psycopg.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                tcp_user_timeout=_STATEMENT_MILLISECONDS,  # for a network that is cut
                # A decision is on disk before its answer leaves.
                options=f"-c statement_timeout={_STATEMENT_MILLISECONDS} -c synchronous_commit=on",
            )
        except psycopg.OperationalError:
            self._local.connection = None
            self._next_attempt = time.monotonic() + _PAUSE_SECONDS
            raise
