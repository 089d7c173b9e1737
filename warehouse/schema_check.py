"""The columns of stored relations, and the marts whose columns differ from their declaration."""

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
    """Return the existing marts of a schema whose columns differ from their declaration."""
    outdated_marts = []
    for mart in zone("production"):
        stored = [column[:2] for column in columns(connection, f"{schema}.{mart.short_name}")]
        if stored and stored != [declared[:2] for declared in to_postgres.signature(mart)]:
            outdated_marts.append(mart.short_name)
    return tuple(outdated_marts)
