"""Whether stored marts have the columns that are declared."""

from __future__ import annotations

from typing import Any

import psycopg

from contracts.render import to_postgres
from contracts.tables import zone


def outdated(connection: psycopg.Connection[Any], schema: str) -> tuple[str, ...]:
    """Return the marts in a schema whose columns are not those declared; none that is missing."""
    stored: dict[str, list[tuple[str, str]]] = {}
    for mart, column, kind in connection.execute(
        "select relname, attname, format_type(atttypid, atttypmod) from pg_attribute"
        " inner join pg_class on pg_class.oid = attrelid"
        " where relnamespace = to_regnamespace(%s) and relkind = 'r'"
        " and attnum > 0 and not attisdropped order by attnum",
        (schema,),
    ):
        stored.setdefault(mart, []).append((column, kind))
    return tuple(
        mart.short_name
        for mart in zone("production")
        if mart.short_name in stored
        and stored[mart.short_name] != [declared[:2] for declared in to_postgres.signature(mart)]
    )
