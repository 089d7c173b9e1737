"""Compare PRODUCTION of two warehouses by table and row.

Run as ``python -m warehouse.parity`` on a platform that has both warehouses, for example during a
migration. It prints one line for each table and exits with 1 if anything differs.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from itertools import chain
from typing import Any, Final

import psycopg

from contracts.columns import LogicalType
from contracts.render import to_postgres, to_snowflake
from contracts.settings import Settings, get_settings
from contracts.tables import Table, zone
from warehouse import schema_check

Row = tuple[Any, ...]
_PRECISION: Final = 1e-12
"""Doubles agree to this part of their size: a division may round its last digit either way."""

_FETCHED: Final = 10_000


@dataclass(frozen=True)
class Side:
    """A readable warehouse: `rows` streams a table by its key, `types` returns its column types.

    A type equals that of the contract if the stored column matches it, and is the stored type if
    not.
    """

    name: str
    types: Callable[[Table], dict[str, str]]
    rows: Callable[[Table], Iterator[Row]]


@dataclass
class Compared:
    """Result of the comparison of one table."""

    table: str
    rows_here: int = 0
    rows_there: int = 0
    differing: int = 0
    first: str | None = None

    @property
    def agrees(self) -> bool:
        """Return whether nothing differs."""
        return self.first is None

    def note(self, what: str) -> None:
        """Keep the text of the first difference."""
        self.first = self.first or what


def compare(here: Side, there: Side, tables: tuple[Table, ...]) -> list[Compared]:
    """Compare tables of two warehouses and return the differences."""
    return [_compare(here, there, table) for table in tables]


def _compare(here: Side, there: Side, table: Table) -> Compared:
    result = Compared(table.short_name)
    for side in (here, there):
        stored = side.types(table)
        if not stored:
            result.note(f"the table is not in {side.name}")
            continue
        for column in table.columns:
            is_stored = stored.pop(column.name, "missing")
            if is_stored != column.type.value:
                result.note(
                    f"column {column.name} in {side.name} is {is_stored}"
                    f" and declared as {column.type.value}"
                )
        for extra in stored:
            result.note(f"column {extra} in {side.name} is not declared")
    if result.first is not None:
        return result
    ours, theirs = (chain(side.rows(table), [None]) for side in (here, there))
    our, their = next(ours), next(theirs)
    while our is not None or their is not None:
        order = _order(table, our, their)
        if order <= 0:
            result.rows_here += 1
        if order >= 0:
            result.rows_there += 1
        difference = _difference(table, here, there, our, their, order)
        if difference:
            result.differing += 1
            result.note(difference)
        our = next(ours) if order <= 0 else our
        their = next(theirs) if order >= 0 else their
    return result


def _key(table: Table, row: Row) -> Row:
    return tuple(row[table.column_names.index(name)] for name in table.key)


def _order(table: Table, our: Row | None, their: Row | None) -> int:
    if our is None or their is None:
        return 1 if our is None else -1
    mine, other = _key(table, our), _key(table, their)
    return (mine > other) - (mine < other)


def _difference(
    table: Table, here: Side, there: Side, our: Row | None, their: Row | None, order: int
) -> str | None:
    if our is not None and order < 0:
        return f"the row of {_where(table, our)} is only in {here.name}"
    if their is not None and order > 0:
        return f"the row of {_where(table, their)} is only in {there.name}"
    for column, mine, other in zip(table.columns, our or (), their or (), strict=True):
        if not _same(mine, other):
            return (
                f"{column.name} of {_where(table, our or ())} is {mine} in {here.name}"
                f" and {other} in {there.name}"
            )
    return None


def _where(table: Table, row: Row) -> str:
    return ", ".join(
        f"{name} {value}" for name, value in zip(table.key, _key(table, row), strict=True)
    )


def _same(here: Any, there: Any) -> bool:
    if isinstance(here, float) and isinstance(there, float):
        return math.isclose(here, there, rel_tol=_PRECISION) or (
            math.isnan(here) and math.isnan(there)
        )
    return bool(here == there)


@contextmanager
def postgres(settings: Settings) -> Iterator[Side]:
    """Open PRODUCTION on Postgres, as its reader."""
    with psycopg.connect(settings.warehouse.dsn("reader")) as connection:
        connection.execute("set transaction isolation level repeatable read read only")

        def types(table: Table) -> dict[str, str]:
            stored = schema_check.columns(connection, table.name)
            known = {kind: (name,) for kind, name in to_postgres.TYPES.items()}
            return _as_declared(table, {name: kind for name, kind, _ in stored}, known)

        def rows(table: Table) -> Iterator[Row]:
            query = _ordered(table, ' collate "C"')
            with connection.cursor(name="parity") as cursor:
                cursor.itersize = _FETCHED
                for row in cursor.execute(query.encode()):
                    yield _plain(table, row)

        yield Side("Postgres", types, rows)


@contextmanager
def snowflake(settings: Settings) -> Iterator[Side]:
    """Open PRODUCTION on Snowflake, as the role that makes it."""
    from warehouse.snowflake.session import connect

    with connect(settings, "transformer") as session:

        def types(table: Table) -> dict[str, str]:
            stored = session.rows(
                "select lower(column_name), lower(data_type), numeric_precision, numeric_scale"  # noqa: S608
                " from information_schema.columns where table_schema = 'PRODUCTION'"
                f" and table_name = '{table.short_name.upper()}'"
            )
            named = {
                name: f"number({precision},{scale})" if kind == "number" else kind
                for name, kind, precision, scale in stored
            }
            return _as_declared(table, named, to_snowflake.STORED)

        def rows(table: Table) -> Iterator[Row]:
            for row in session.stream(_ordered(table)):
                yield _plain(table, row)

        yield Side("Snowflake", types, rows)


def _as_declared(
    table: Table, stored: dict[str, str], types: Mapping[LogicalType, tuple[str, ...]]
) -> dict[str, str]:
    """Return stored types by the name of the declared one where they are its own."""
    declared = {column.name: column.type for column in table.columns}
    return {
        name: declared[name].value if name in declared and kind in types[declared[name]] else kind
        for name, kind in stored.items()
    }


def _ordered(table: Table, collation: str = "") -> str:
    """Return the query for a table by its key, text by code point, as Python orders it."""
    texts = {column.name for column in table.columns if column.type is LogicalType.STRING}
    keys = ", ".join(f"{name}{collation if name in texts else ''}" for name in table.key)
    return f"select {', '.join(table.column_names)} from {table.name} order by {keys}"  # noqa: S608


def _plain(table: Table, row: Row) -> Row:
    """Return a row in values that are alike in both warehouses."""
    return tuple(
        _value(column.type, value) for column, value in zip(table.columns, row, strict=True)
    )


def _value(kind: LogicalType, value: Any) -> Any:
    if value is None:
        return None
    if kind is LogicalType.TIMESTAMP:
        return value.astimezone(UTC)
    if kind in (LogicalType.STRINGS, LogicalType.DATES):
        entries = json.loads(value) if isinstance(value, str) else value
        return [str(entry) for entry in entries]
    if kind is LogicalType.JSON and isinstance(value, str):
        return json.loads(value)
    return value


def report(results: list[Compared]) -> str:
    """Return one line for each table: rows on both sides, differing rows, the first difference."""
    lines = [f"{'table':32} {'rows':>12} {'rows there':>12} {'differing':>10}  first difference"]
    lines += [
        f"{table.table:32} {table.rows_here:12,} {table.rows_there:12,} {table.differing:10,}"
        f"  {table.first or 'none'}"
        for table in results
    ]
    return "\n".join(lines)


def main(settings: Settings) -> int:
    """Print the report and return 1 when the warehouses differ."""
    with postgres(settings) as here, snowflake(settings) as there:
        results = compare(here, there, zone("production"))
    sys.stdout.write(report(results) + "\n")
    return int(not all(table.agrees for table in results))


if __name__ == "__main__":
    raise SystemExit(main(get_settings()))
