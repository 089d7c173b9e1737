"""A line through the test platform's Airflow, what it printed, and what its stores hold."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from rich.console import Console

from contracts.settings import Settings
from demo.airflow import AirflowClient
from demo.follow import Line, unpaused

LAKE = ("processed.transactions", "processed.labels", "sandbox.features")
_PRODUCTION = (
    "dim_customers",
    "dim_merchants",
    "fct_transactions",
    "fct_fraud_labels",
    "rpt_fraud_daily",
    "fct_transaction_scores",
    "fct_fraud_alerts",
)
_STAGING = ("transactions", "labels", "features", "customers", "merchants", "quarantine", "scores")


@dataclass
class Watched:
    """A line, what it printed, and the platform it runs on."""

    settings: Settings
    line: Line
    since: datetime
    scored: bool = False
    """Whether scoring did something for the first window."""

    @property
    def said(self) -> str:
        """Return what was printed so far."""
        file = self.line.console.file
        assert isinstance(file, io.StringIO)
        return file.getvalue()

    def ask(self, query: str, role: Any = "reader") -> list[dict[str, Any]]:
        """Query the warehouse."""
        dsn = self.settings.warehouse.dsn(role)
        with psycopg.connect(dsn, row_factory=psycopg.rows.dict_row) as connection:
            return connection.execute(query.encode()).fetchall()

    def payments(self, last: str) -> dict[str, tuple[int, Decimal, int]]:
        """Return payments, amount and customers of each day up to `last`."""
        return self._by_day(
            "count(*), sum(amount), count(distinct customer_id)", "fct_transactions", last
        )

    def labels(self, last: str) -> dict[str, tuple[int, int]]:
        """Return frauds and labels of each day up to `last`."""
        return self._by_day("count(*) filter (where is_fraud), count(*)", "fct_fraud_labels", last)

    def reported(self, last: str) -> dict[str, tuple[int, Decimal, int, int]]:
        """Return what the daily report says: as `payments`, and the frauds known by then."""
        return self._by_day(
            "sum(transaction_count)::int, sum(amount), sum(customer_count)::int,"
            " sum(known_fraud_count)::int",
            "rpt_fraud_daily",
            last,
        )

    def _by_day(self, columns: str, table: str, last: str) -> dict[str, Any]:
        with psycopg.connect(self.settings.warehouse.dsn("reader")) as connection:
            found = connection.execute(
                f"select event_date::text, {columns} from production.{table}"  # type: ignore[arg-type]
                " where event_date <= %s group by event_date",
                [last],
            ).fetchall()
        return {day: tuple(values) for day, *values in found}

    def stores(self) -> dict[str, Any]:
        """Return a fingerprint of every table behind gate raw; None for one that is not there."""
        from lake.catalog import open_catalog

        catalog = open_catalog(self.settings, "reader")
        found: dict[str, Any] = {}
        for table in LAKE:
            snapshot = catalog.load_table(table).current_snapshot()
            found[table] = snapshot.snapshot_id if snapshot else None
        catalog.close()
        for role, zone, names in (
            ("loader", "staging", _STAGING),
            ("reader", "production", _PRODUCTION),
        ):
            for name in (f"{zone}.{short}" for short in names):
                (there,) = self.ask(f"select to_regclass('{name}') is not null as there", role)
                digest = (
                    "select count(*), md5(string_agg(t::text, '|' order by t::text))"
                    f" from {name} as t"
                )
                found[name] = self.ask(digest, role) if there["there"] else None
        return found


@contextmanager
def watched_line(platform: Settings) -> Iterator[Watched]:
    """Unpause the DAGs and yield a line on which no window has run yet."""
    console = Console(file=io.StringIO(), width=200)
    since = datetime.now(UTC)
    with AirflowClient(platform) as client, unpaused(client):
        yield Watched(platform, Line(client, console), since)
