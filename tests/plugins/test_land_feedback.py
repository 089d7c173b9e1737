"""The landing of feedback: what the API has stored goes to Raw once."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING
from uuid import uuid4

import pandas as pd
import psycopg
import pytest

from contracts.settings import REPO, Settings
from contracts.stage_results import LandResult
from contracts.windows import Window
from sources.discover import Delivery
from sources.land import land
from sources.manifest import find_latest
from sources.store import s3_client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.warehouses import Warehouses

pytestmark = [pytest.mark.airflow, pytest.mark.stack, pytest.mark.postgres]
SAMPLE = REPO / "data/sparkov/transactions/2024-05-01.parquet"


def test_feedback_lands_once_in_the_window_of_its_payment(
    s3: Settings, warehouses: "Warehouses", monkeypatch: pytest.MonkeyPatch, tmp_path: "Path"
) -> None:
    from tollgate_airflow import connections
    from tollgate_airflow.stages import land_feedback

    # A far day that no other test lands.
    day = date.fromordinal(date(2300, 1, 1).toordinal() + uuid4().int % 2_000_000)
    window = Window.of("sparkov", day.isoformat())
    client, bucket = s3_client(s3, "lander"), s3.s3.raw_bucket
    path = tmp_path / f"{day}.parquet"
    pd.read_parquet(SAMPLE).head(5).to_parquet(path, index=False)
    land(window, client, bucket, [Delivery(path)], run_id="r1")
    now = datetime.now(UTC)
    with warehouses.borrowed() as warehouse:
        dsn = warehouse.warehouse.dsn("loader")
        with psycopg.connect(dsn) as loader:
            loader.execute(
                "insert into staging.run_ledger (run_id, stage, window_key, started_at,"
                " finished_at, duration_seconds, dates_touched, details)"
                " values ('r1', 'land', %s, %s, %s, 1, %s, '{}')",
                (window.key, now, now, [day]),
            )
            values = ("f1", "sparkov", "e1", day, "confirmed_fraud", None, "anna", now)
            loader.execute(
                f"insert into serving.feedback values ({', '.join(['%s'] * 8)})".encode(), values
            )
        monkeypatch.setattr(connections, "s3", lambda role: s3_client(s3, role))
        monkeypatch.setattr(connections, "warehouse", warehouse.warehouse.dsn)
        dag_run = SimpleNamespace(
            dag_id="land_feedback",
            run_id="r2",
            partition_key=None,
            start_date=now,
            triggering_user_name=None,
        )
        context = {"dag_run": dag_run, "params": {}}
        # Its guard would ask Airflow for the task that runs.
        (plain,) = land_feedback.land.__wrapped__(context)
        assert land_feedback.land.__wrapped__(context) == []
    landed = LandResult.from_dict(plain)
    assert (landed.window, landed.sequence, landed.new_objects) == (window, 2, 1)
    (item,) = find_latest(client, bucket, window).labels
    assert item.rows == 1
