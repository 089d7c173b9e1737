"""Merge the staged rows of a table with an interval, a party each, into STAGING by key.

The versions of a row in the lake have an order: its interval only grows, and versions with the same
interval are ordered by their attributes. The later version wins, so that the order in which
snapshots are loaded does not matter.
"""

from collections.abc import Iterable
from datetime import date

from contracts.columns import COLUMNS, LogicalType
from contracts.tables import Table
from lake.dates import rows_on


def merge(table: Table, staged: str, collation: str = "") -> list[str]:
    """Return statements for one transaction, in the SQL that Postgres and Snowflake share.

    They are not `merge`, because the server that the tests use for Snowflake rejects it in a
    transaction. `collation` makes a database compare texts by bytes, as the lake does.
    """
    target = table.short_name
    first, last = table.interval or ("", "")
    same_key = " and ".join(f"{target}.{name} = staged.{name}" for name in table.key)
    is_later = (
        f"staged.{last} > {target}.{last} or staged.{first} < {target}.{first}"
        f" or staged.{last} = {target}.{last} and staged.{first} = {target}.{first}"
        f" and {_is_after(target, table.attributes, collation)}"
    )
    names = ", ".join(table.column_names)
    return [
        f"delete from {table.name} where exists"  # noqa: S608 - our own names
        f" (select 1 from {staged} as staged where {same_key} and ({is_later}))",
        f"insert into {table.name} ({names}) select {names} from {staged} as staged"  # noqa: S608
        f" where not exists (select 1 from {table.name} where {same_key})",
    ]


def derive(table: Table, dates: Iterable[date], collation: str = "") -> list[str]:
    """Return statements that derive the parties of some dates from the payments in STAGING.

    A merge neither deletes a party whose payments were withdrawn nor narrows its interval.
    """
    target, key = table.short_name, ", ".join(table.key)
    first, last = table.interval or ("", "")
    of_dates = f"({rows_on(table, dates)})"
    same_key = " and ".join(f"{target}.{name} = payments.{name}" for name in table.key)
    latest = ", ".join(
        f"{name}{_order(name, collation)} desc nulls last" for name in table.attributes
    )
    values = ", ".join(f"{name} = payments.{name}" for name in (*table.attributes, first, last))
    return [
        f"delete from {table.name} where {of_dates} and not exists"  # noqa: S608 - our own names
        f" (select 1 from staging.transactions as payments where {same_key})",
        f"update {table.name} set {values} from (select {key}, {', '.join(table.attributes)},"  # noqa: S608
        f" min(event_at) over (partition by {key}) as {first}, event_at as {last}, row_number()"
        f" over (partition by {key} order by event_at desc, {latest}) as place"
        f" from staging.transactions where ({key}) in"
        f" (select {key} from {table.name} where {of_dates})) as payments"
        f" where {same_key} and payments.place = 1",
    ]


def _order(column: str, collation: str) -> str:
    return collation if COLUMNS[column].type is LogicalType.STRING else ""


def _is_after(target: str, columns: tuple[str, ...], collation: str) -> str:
    """Return whether staged values follow those of the target in order, with nulls first."""
    if not columns:
        return "false"
    stored, staged = f"{target}.{columns[0]}", f"staged.{columns[0]}"
    order = _order(columns[0], collation)
    return (
        f"({staged}{order} > {stored}{order} or {stored} is null and {staged} is not null"
        f" or {staged} is not distinct from {stored}"
        f" and {_is_after(target, columns[1:], collation)})"
    )
