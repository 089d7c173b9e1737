"""Alerts of the stream: into STAGING, and the dates of those that PRODUCTION lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import psycopg
from psycopg import sql

from contracts.settings import Settings
from contracts.tables import TABLES
from warehouse import dbt_runner, query
from warehouse.errors import says_what_is_away

_ALERTS: Final = TABLES["staging.stream_alerts"]
_COLUMNS: Final = """
select lower(table_name), lower(column_name)
from information_schema.columns
where lower(table_schema) = 'production'
    and lower(table_name) in ('fct_transactions', 'fct_fraud_alerts')
"""
_UNPUBLISHED: Final = """
select distinct alerts.source_system, alerts.event_date
from staging.stream_alerts as alerts
where exists (
        select 1
        from production.fct_transactions as payments
        where payments.source_system = alerts.source_system
            and payments.event_date = alerts.event_date
            and payments.event_id = alerts.event_id
    )
    and not exists ({published})
order by 1, 2
"""
_PUBLISHED: Final = """
select 1
from production.fct_fraud_alerts as published
where published.source_system = alerts.source_system
    and published.event_id = alerts.event_id
    and published.detected_by = 'stream'
"""


@says_what_is_away
def record(dsn: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows with the columns of staging.stream_alerts, and return the number of new ones.

    The first alert of a payment remains, so a repeat changes nothing. The insert waits while dbt
    runs, because all models and tests of a build read the same STAGING.

    Raises:
        WarehouseLostError: when Postgres does not answer. No row of the call is written.
    """
    insert = sql.SQL("insert into {} ({}) values ({}) on conflict do nothing").format(
        sql.Identifier(_ALERTS.zone, _ALERTS.short_name),
        sql.SQL(", ").join(map(sql.Identifier, _ALERTS.column_names)),
        sql.SQL(", ").join(map(sql.Placeholder, _ALERTS.column_names)),
    )
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(f"select pg_advisory_xact_lock({dbt_runner.LOCK})".encode())
        cursor.executemany(insert, rows)
        return cursor.rowcount


def unpublished(settings: Settings) -> dict[str, tuple[date, ...]]:
    """Return by source the dates with alerts that fct_fraud_alerts lacks.

    The payment of such an alert is in PRODUCTION. There are no dates while the marts are of a
    version without alerts of the stream.
    """
    (columns,) = query.answers(settings, [_COLUMNS])
    tables = {table for table, _ in columns}
    has_alerts = "fct_fraud_alerts" in tables
    if "fct_transactions" not in tables or (
        has_alerts and ("fct_fraud_alerts", "detected_by") not in columns
    ):
        return {}
    published = _PUBLISHED if has_alerts else "select 1 where false"
    (rows,) = query.answers(settings, [_UNPUBLISHED.format(published=published)])
    sources = {source for source, _ in rows}
    return {name: tuple(day for source, day in rows if source == name) for name in sources}
