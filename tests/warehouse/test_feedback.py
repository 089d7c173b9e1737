"""Feedback of analysts as files of labels, by the window that landed its payments."""

import json
from datetime import UTC, date, datetime

import psycopg
import pytest

from contracts.settings import Settings
from contracts.windows import Window
from tests.warehouses import Warehouses
from warehouse.feedback import label_files

pytestmark = pytest.mark.postgres
DAY = date(2026, 6, 1)
AT = datetime(2026, 6, 9, 12, 30, 0, 5, tzinfo=UTC)


@pytest.fixture
def dsn(warehouses: Warehouses) -> str:
    """A warehouse with three windows landed, of which two have the first day."""
    with warehouses.borrowed() as settings:
        yield filled(settings)


def filled(settings: Settings) -> str:
    dsn = settings.warehouse.dsn("loader")
    runs = (
        ("sparkov@2026-06-01--2026-06-02", [DAY, date(2026, 6, 2)], 3),
        ("sparkov@2026-06-01", [DAY], 5),
        ("paysim1@2026-06-01", [DAY], 9),
    )
    statements = (
        ("f1", "sparkov", "e1", DAY, "confirmed_fraud", AT),
        ("f2", "sparkov", "e1", DAY, "false_alarm", AT.replace(hour=13)),
        ("f3", "sparkov", "e2", date(2026, 6, 2), "false_alarm", AT),
        ("f4", "sparkov", "e3", date(2026, 6, 3), "false_alarm", AT),
        ("f5", "handbook", "e4", DAY, "false_alarm", AT),
    )
    with psycopg.connect(dsn) as loader:
        for key, dates, hour in runs:
            loader.execute(
                "insert into staging.run_ledger (run_id, stage, window_key, started_at,"
                " finished_at, duration_seconds, dates_touched, details)"
                " values (%s, 'land', %s, %s, %s, 1, %s, '{}')",
                (key, key, AT, AT.replace(hour=hour), dates),
            )
        for name, source, event, day, outcome, known_at in statements:
            loader.execute(
                "insert into serving.feedback values (%s, %s, %s, %s, %s, 'why', 'anna', %s)",
                (name, source, event, day, outcome, known_at),
            )
    return dsn


def test_feedback_is_in_the_latest_window_that_landed_its_date(dsn: str) -> None:
    files = label_files(dsn)
    one, both = (
        Window.parse(f"sparkov@{span}") for span in ("2026-06-01", "2026-06-01--2026-06-02")
    )
    assert {window: list(days) for window, days in files.items()} == {
        one: [DAY],
        both: [date(2026, 6, 2)],
    }
    lines = [json.loads(line) for line in files[one][DAY].splitlines()]
    assert [(line["transaction_id"], line["is_fraud"]) for line in lines] == [("e1", 1), ("e1", 0)]
    assert lines[0]["known_at"] == "2026-06-09T12:30:00.000005Z"
    assert {line["label_source"] for line in lines} == {"analyst"}
    assert label_files(dsn) == files
