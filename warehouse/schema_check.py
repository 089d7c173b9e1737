"""The columns of stored relations, and whether marts have those that are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.render import to_postgres
from contracts.tables import zone

if TYPE_CHECKING:
    import psycopg


def columns(connection: psycopg.Connection[Any], relation: str) -> list[tuple[str, str, bool]]:
    """Return (name, type, nullable) of each column in order, as `to_postgres.signature` does.

    A relation that does not exist has none.
    """
    return connection.execute(
        "select attname, format_type(atttypid, atttypmod), not attnotnull from pg_attribute"
        " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
        (relation,),
    ).fetchall()


def outdated(connection: psycopg.Connection[Any], schema: str) -> tuple[str, ...]:
    """Return the marts in a schema whose columns are not those declared; none that is missing."""
    found = []
    for mart in zone("production"):
        stored = [column[:2] for column in columns(connection, f"{schema}.{mart.short_name}")]
        if stored and stored != [declared[:2] for declared in to_postgres.signature(mart)]:
            found.append(mart.short_name)
    return tuple(found)
