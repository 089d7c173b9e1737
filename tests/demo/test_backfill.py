"""Backfills of two sources over the same six days, through a real Airflow."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psycopg
import pytest

from contracts.assets import landing_dag
from contracts.settings import Settings
from contracts.stages import Stage
from demo.airflow import AirflowClient
from demo.follow import unpaused
from sources.registry import DEFAULT_SOURCE
from tests.demo.reckoning import reckon
from warehouse.waiting import waiting_windows

DAYS = [f"2024-07-0{day}" for day in range(1, 7)]
SECOND = "card_feed"
SOURCES = (DEFAULT_SOURCE, SECOND)
WINDOWS = {f"{source}@{day}" for source in SOURCES for day in DAYS}
LONGEST_SECONDS = 2400

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.stack,
    pytest.mark.soak,
    pytest.mark.timeout(3000),
]


@pytest.fixture
def deliveries(platform: Settings) -> Iterator[Path]:
    """Deliver the payments of the sample's days by a second source too, as JSON lines."""
    folder = platform.data_dir / SECOND / "transactions"
    folder.mkdir(parents=True)
    sample = platform.data_dir / DEFAULT_SOURCE / "transactions"
    for day in DAYS:
        lines = [
            {
                "transaction_id": row.trans_num,
                "timestamp": f"{row.trans_date}T{row.trans_time}Z",
                "amount": f"{row.amt:.2f}",
                "currency": "USD",
                "customer_id": row.acct_num,
                "merchant_id": row.merchant,
            }
            for row in pd.read_parquet(sample / f"{day}.parquet").itertuples()
        ]
        (folder / f"{day}.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    yield sample
    shutil.rmtree(folder.parent)


@pytest.fixture
def api(platform: Settings) -> Iterator[httpx.Client]:
    """Log in to Airflow's API."""
    airflow = platform.airflow
    login = {"username": airflow.username, "password": airflow.password.get_secret_value()}
    with httpx.Client(base_url=airflow.url, timeout=60, trust_env=False) as client:
        token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def _backfill(api: httpx.Client, dag_id: str) -> None:
    asked = {"dag_id": dag_id, "from_date": f"{DAYS[0]}T00:00:00Z", "to_date": f"{DAYS[-1]}T00:00Z"}
    api.post("/api/v2/backfills", json=asked).raise_for_status()


def _failed(api: httpx.Client) -> list[tuple[str, str]]:
    """Return the failed runs of the days; the schedule also lands yesterday, which has no file."""
    runs = api.get("/api/v2/dags/~/dagRuns", params={"state": "failed"}).raise_for_status().json()
    failed = [(run["dag_id"], run["partition_key"]) for run in runs["dag_runs"]]
    return [(dag_id, key) for dag_id, key in failed if key in {*DAYS, *WINDOWS}]


def _ask(settings: Settings, role: Any, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.warehouse.dsn(role)) as connection:
        return connection.execute(query.encode()).fetchall()


def test_backfills_of_two_sources_bring_every_day_to_production(
    platform: Settings, deliveries: Path, api: httpx.Client
) -> None:
    """Slow: a platform starts, and twelve windows run through all DAGs."""
    built: set[str] = set()
    dags = [landing_dag(source, DEFAULT_SOURCE) for source in SOURCES]
    with AirflowClient(platform) as client, unpaused(client):
        client.pause(dags[1], paused=False)
        for dag_id in dags:
            _backfill(api, dag_id)
        began = time.monotonic()
        while built != WINDOWS:
            assert _failed(api) == []
            assert time.monotonic() - began < LONGEST_SECONDS, sorted(WINDOWS - built)
            time.sleep(2)
            query = f"select window_key from staging.run_ledger where stage = '{Stage.BUILD}'"
            built = {key for (key,) in _ask(platform, "loader", query)}
        client.pause(dags[1], paused=True)

    expected = {day: (e.rows, e.amount) for day, e in reckon(deliveries, *DAYS[::5]).items()}
    found: dict[str, dict[str, tuple[int, Decimal]]] = {source: {} for source in SOURCES}
    for source, day, rows, amount in _ask(
        platform,
        "reader",
        "select source_system, event_date::text, count(*), sum(amount)"
        " from production.fct_transactions group by 1, 2",
    ):
        found[source][day] = (rows, amount)
    assert found == dict.fromkeys(SOURCES, expected)
    assert waiting_windows(platform.warehouse.dsn("loader")) == []
