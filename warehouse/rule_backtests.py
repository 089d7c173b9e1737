"""Backtests of the rules of fraud → STAGING: a row for each rule and currency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from warehouse.errors import says_what_is_away
from warehouse.migrate import BACKTESTS


@says_what_is_away
def record_backtest(dsn: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows with the columns of staging.fraud_rule_backtests.

    Raises:
        WarehouseLostError: when Postgres does not answer.
    """
    insert = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(BACKTESTS.zone, BACKTESTS.short_name),
        sql.SQL(", ").join(map(sql.Identifier, BACKTESTS.column_names)),
        sql.SQL(", ").join(map(sql.Placeholder, BACKTESTS.column_names)),
    )
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.executemany(insert, rows)
