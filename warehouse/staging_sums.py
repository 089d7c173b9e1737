"""Rows, sums and content of STAGING as a build reads it, which gate production compares facts with.

The next window may change STAGING before the gate runs, so the build records what it read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

import psycopg

from contracts.tables import TABLES

FACTS: Final = (
    ("fct_transactions", "staging.transactions", "amount"),
    ("fct_fraud_labels", "staging.labels", "is_fraud"),
)
"""Each fact, its origin, and the measure that must agree."""

TABLE: Final = (
    "create table if not exists production_audit.staging_sums (run_id text, source_system text,"
    " mart text, event_date date, rows bigint, measure numeric, content numeric,"
    " primary key (run_id, source_system, mart, event_date))"
)
"""What the last build of each source read."""


def record(
    connection: psycopg.Connection[Any], run_id: str, source: str, dates: Iterable[date]
) -> None:
    """Write the sums of STAGING on the dates of a build, in place of those of an earlier build."""
    connection.execute(
        "delete from production_audit.staging_sums where source_system = %s", (source,)
    )
    given = {"run_id": run_id, "dates": list(dates), "source": source}
    for mart, origin, measure in FACTS:
        read = fact_sums(origin, measure, TABLES[origin].column_names)
        insert = (
            "insert into production_audit.staging_sums"  # noqa: S608 - our names
            " (run_id, mart, event_date, source_system, rows, measure, content)"
            f" select %(run_id)s, '{mart}', * from ({read}) as read"
        )
        connection.execute(insert.encode(), given)


def recorded(mart: str, measure: str) -> str:
    """Return the query of what a build read of the origin of a fact, as `fact_sums` has it."""
    return (
        f"select event_date, source_system, rows, measure as {measure}, content"  # noqa: S608
        " from production_audit.staging_sums"
        f" where run_id = %(run_id)s and source_system = %(source)s and mart = '{mart}'"
    )


def fact_sums(relation: str, measure: str, columns: Iterable[str]) -> str:
    """Return the query of rows, measure and content of a relation by day and source.

    The content is a sum over 36 bits of a hash of each row: rows in any order.
    """
    total = f"{measure}::int" if measure.startswith("is_") else measure
    content = f"sum(hash_record_extended(row({', '.join(columns)}), 0) >> 28)"
    return (
        f"select event_date, source_system, count(*) as rows, sum({total}) as {measure},"  # noqa: S608
        f" {content} as content from {relation}"
        " where event_date = any(%(dates)s) and source_system = %(source)s group by 1, 2"
    )
