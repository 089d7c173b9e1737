"""Queries of the warehouse of the marts, Postgres or Snowflake."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from contracts.settings import Settings


def answers(settings: Settings, queries: Iterable[str]) -> list[list[tuple[Any, ...]]]:
    """Return the rows of each query, run as the transformer."""
    if settings.warehouse.kind == "snowflake":
        from warehouse.snowflake.session import connect

        with connect(settings, "transformer") as session:
            return [session.rows(query) for query in queries]
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        return [connection.execute(query.encode()).fetchall() for query in queries]
