"""Shadow tables of STAGING: named after the run, filled, checked, then attached or dropped.

A table with dates has a partitioned shadow table (`transactions__1a2b3c4d`) with a partition for
each day, so that one COPY fills any number of days and each day can be attached separately. The
comment of a partition names the origin of its rows. The shadow table of a table that is merged by
key has no partitions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final

from contracts.render import to_postgres
from contracts.tables import Table

SCHEMA: Final = "staging"
_STATISTICS_TARGET: Final = 10
"""A tenth of the server's default, which would read all rows of a day and take longer than COPY."""

_WRITTEN_ONCE: Final = "with (autovacuum_enabled = off)"
"""Rows are frozen and never change, so a vacuum has nothing to do; after a load of years it would
lock each partition in turn while `swap` waits."""


@dataclass(frozen=True)
class Origin:
    """Origin of the rows of a partition; `sequence` orders the snapshots of a lake table."""

    run: str
    snapshot: int
    sequence: int
    staged_at: str

    def comment(self) -> str:
        """Return the text for the comment of the partition."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, comment: str | None) -> Origin | None:
        """Return the origin from a comment; None for a partition without one."""
        return cls(**json.loads(comment)) if comment else None


DROP_ABANDONED: Final = r"""
do $abandoned$ declare shadow text; begin
    for shadow in
        select c.oid::regclass::text from pg_class c
        where c.relnamespace = 'staging'::regnamespace
            and c.relkind in ('r', 'p') and not c.relispartition
            and c.relname ~ '__[0-9a-f]{8}$'
            and (obj_description(c.oid, 'pg_class')::jsonb ->> 'staged_at')::timestamptz
                < now() - interval '1 day'
    loop
        execute 'drop table if exists ' || shadow;
    end loop;
end $abandoned$
"""
"""Drops the shadow tables of runs that died before they attached them and were not repeated."""


def token(run_id: str) -> str:
    """Return the suffix of a run's tables: the same for a retry, which then replaces them."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:8]


def shadow_name(table: Table, run: str) -> str:
    """Return the qualified name of the shadow table of a table."""
    return f"{SCHEMA}.{table.short_name}__{run}"


def shadow_partition(table: Table, day: date, run: str) -> str:
    """Return the qualified name of the shadow table's partition of a day."""
    return f"{SCHEMA}.{to_postgres.partition_name(table, day)}__{run}"


def together(statements: Iterable[str]) -> str:
    """Return several statements as the single one that a prepared statement can be."""
    return "do $script$ begin " + " ".join(f"{text};" for text in statements) + " end $script$"


def create(table: Table, run: str, days: Iterable[date], origin: Origin) -> list[str]:
    """Return the DDL of a shadow table, which replaces that of an earlier attempt of the run."""
    name = shadow_name(table, run)
    statements = [
        f"select pg_advisory_xact_lock(hashtext('{name}'))",
        f"drop table if exists {name}",
    ]
    comment = f"is '{origin.comment()}'"
    if table.partition_by is None:
        create_table = f"create table {name} ({to_postgres.columns(table)}) {_WRITTEN_ONCE}"
        return [*statements, create_table, f"comment on table {name} {comment}"]
    statements.append(to_postgres.create_parent(table, name))
    statements.append(f"comment on table {name} {comment}")
    for day in sorted(days):
        partition = shadow_partition(table, day, run)
        statements += [
            f"drop table if exists {partition}",
            f"create table {partition} partition of {name} {to_postgres.partition_bound(day)}"
            f" {_WRITTEN_ONCE}",
            f"comment on table {partition} {comment}",
        ]
    return statements


def seal(table: Table, run: str, days: Iterable[date]) -> list[str]:
    """Return the statements that add keys, day checks and statistics to a filled shadow table.

    Keys are added after the rows, because building an index once is cheaper than updating it.
    """
    name = shadow_name(table, run)
    key = f"add primary key ({', '.join(table.key)})"
    statistics = f"set local default_statistics_target = {_STATISTICS_TARGET}"
    if table.partition_by is None:
        return [f"alter table {name} {key}", statistics, f"analyze {name}"]
    partitions = {day: shadow_partition(table, day, run) for day in sorted(days)}
    statements = [
        f"alter table {partition} {key}, add check ({to_postgres.partition_check(table, day)})"
        for day, partition in partitions.items()
    ]
    if partitions:
        # Statistics of the columns to join and group by: all columns of features would cost as much
        # as their COPY. The shadow table itself needs none, because it is dropped.
        known = ", ".join(dict.fromkeys((*table.key, table.partition_by)))
        each = ", ".join(f"{partition} ({known})" for partition in partitions.values())
        statements += [statistics, f"analyze {each}"]
    return statements
