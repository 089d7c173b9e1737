"""Fresh tables beside those of STAGING: named after the run, filled, judged, attached or dropped.

A table with dates gets a partitioned twin (`transactions__1a2b3c4d`) with a partition a day, so
that one COPY fills any number of days and each day can be attached on its own. The comment of a
partition says where its rows come from. A table that is merged by key gets a twin without
partitions.
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
"""A tenth of the server's own: it would read each row of a day, at more than the rows' own COPY."""

_WRITTEN_ONCE: Final = "with (autovacuum_enabled = off)"
"""Rows come frozen and are never changed, so a vacuum finds nothing to do; after a load of years it
would hold one partition after another while `swap` waits for its lock."""


@dataclass(frozen=True)
class Origin:
    """Where the rows of a partition come from; `sequence` orders the snapshots of a lake table."""

    run: str
    snapshot: int
    sequence: int
    staged_at: str

    def comment(self) -> str:
        """Return the text that is kept as the comment of the partition."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, comment: str | None) -> Origin | None:
        """Read a comment back; None for a partition that nobody loaded."""
        return cls(**json.loads(comment)) if comment else None


DROP_ABANDONED: Final = r"""
do $abandoned$ declare twin text; begin
    for twin in
        select c.oid::regclass::text from pg_class c
        where c.relnamespace = 'staging'::regnamespace
            and c.relkind in ('r', 'p') and not c.relispartition
            and c.relname ~ '__[0-9a-f]{8}$'
            and (obj_description(c.oid, 'pg_class')::jsonb ->> 'staged_at')::timestamptz
                < now() - interval '1 day'
    loop
        execute 'drop table if exists ' || twin;
    end loop;
end $abandoned$
"""
"""Drops the twins of runs that died between staging and attaching, and were never run again."""


def token(run_id: str) -> str:
    """Return the suffix of a run's tables: the same for a retry, which then replaces them."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:8]


def beside_name(table: Table, run: str) -> str:
    """Return the qualified name of the twin of a table."""
    return f"{SCHEMA}.{table.short_name}__{run}"


def partition_beside(table: Table, day: date, run: str) -> str:
    """Return the qualified name of the twin's partition of a day."""
    return f"{SCHEMA}.{to_postgres.partition_name(table, day)}__{run}"


def together(statements: Iterable[str]) -> str:
    """Return several statements as the single one that a prepared statement can be."""
    return "do $script$ begin " + " ".join(f"{text};" for text in statements) + " end $script$"


def create(table: Table, run: str, days: Iterable[date], origin: Origin) -> list[str]:
    """Return the DDL of a table's twin, dropping what an earlier attempt of the run left."""
    name = beside_name(table, run)
    statements = [
        f"select pg_advisory_xact_lock(hashtext('{name}'))",
        f"drop table if exists {name}",
    ]
    comment = f"is '{origin.comment()}'"
    if table.partition_by is None:
        create_twin = f"create table {name} ({to_postgres.columns(table)}) {_WRITTEN_ONCE}"
        return [*statements, create_twin, f"comment on table {name} {comment}"]
    statements.append(to_postgres.create_parent(table, name))
    statements.append(f"comment on table {name} {comment}")
    for day in sorted(days):
        partition = partition_beside(table, day, run)
        statements += [
            f"drop table if exists {partition}",
            f"create table {partition} partition of {name} {to_postgres.partition_bound(day)}"
            f" {_WRITTEN_ONCE}",
            f"comment on table {partition} {comment}",
        ]
    return statements


def seal(table: Table, run: str, days: Iterable[date]) -> list[str]:
    """Return what makes a filled twin ready to attach: its keys, day checks and statistics.

    The keys come after the rows, since building an index once is cheaper than growing it.
    """
    name = beside_name(table, run)
    key = f"add primary key ({', '.join(table.key)})"
    statistics = f"set local default_statistics_target = {_STATISTICS_TARGET}"
    if table.partition_by is None:
        return [f"alter table {name} {key}", statistics, f"analyze {name}"]
    partitions = {day: partition_beside(table, day, run) for day in sorted(days)}
    statements = [
        f"alter table {partition} {key}, add check ({to_postgres.partition_check(table, day)})"
        for day, partition in partitions.items()
    ]
    if partitions:
        # Of what rows are joined and grouped by: every column of features would cost as much as
        # their COPY. Not of the twin itself: what is known of it would end with it.
        known = ", ".join(dict.fromkeys((*table.key, table.partition_by)))
        each = ", ".join(f"{partition} ({known})" for partition in partitions.values())
        statements += [statistics, f"analyze {each}"]
    return statements
