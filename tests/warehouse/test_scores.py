"""Scores are added once and never change."""

from datetime import date
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from contracts.render import to_arrow
from contracts.settings import Settings
from contracts.stage_results import ScoreResult
from contracts.tables import TABLES
from tests.stage_results import result_of
from warehouse import load, scores

pytestmark = pytest.mark.postgres
_SCORES = TABLES["staging.scores"]
_DAYS = (date(2024, 5, 1), date(2024, 5, 2))


def _scored(run_id: str) -> ScoreResult:
    window, snapshots = "sparkov@2024-05-01--2024-05-02", {"sandbox.features": 3}
    return result_of(ScoreResult, window, run_id, dates=_DAYS, snapshots=snapshots)


@pytest.fixture
def dsn(warehouse: Settings, loader: psycopg.Connection) -> str:
    return warehouse.warehouse.dsn("loader")


@pytest.fixture
def table(payment_rows: Any) -> pa.Table:
    rows = payment_rows(_SCORES, _DAYS, 5, model_version=1, score=0.5)
    return pa.Table.from_pylist(rows, to_arrow.schema(_SCORES))


def _count(loader: psycopg.Connection) -> int:
    row = loader.execute("select count(*) from staging.scores").fetchone()
    assert row is not None
    return int(row[0])


def test_scores_stay_in_the_shadow_table_until_the_gate_passed(
    dsn: str, loader: psycopg.Connection, table: pa.Table
) -> None:
    staged = scores.stage_scores(dsn, _scored("one"), table)
    beside = staged.beside["staging.scores"]
    assert loader.execute(f"select count(*) from {beside}".encode()).fetchone() == (10,)
    assert _count(loader) == 0
    assert staged.snapshots == {"sandbox.features": 3}
    assert scores.swap_scores(dsn, staged) == 10
    assert _count(loader) == 10


def test_a_second_run_adds_nothing_and_changes_nothing(
    dsn: str, loader: psycopg.Connection, table: pa.Table
) -> None:
    first = scores.stage_scores(dsn, _scored("one"), table)
    assert scores.swap_scores(dsn, first) == 10
    assert scores.swap_scores(dsn, first) == 0
    other = table.set_column(
        table.schema.get_field_index("score"), "score", pa.array([0.9] * len(table))
    )
    assert scores.swap_scores(dsn, scores.stage_scores(dsn, _scored("two"), other)) == 0
    assert loader.execute("select distinct score from staging.scores").fetchall() == [(0.5,)]


def test_scores_of_another_model_version_are_added(
    dsn: str, loader: psycopg.Connection, table: pa.Table
) -> None:
    scores.swap_scores(dsn, scores.stage_scores(dsn, _scored("one"), table))
    newer = table.set_column(
        table.schema.get_field_index("model_version"),
        "model_version",
        pa.array([2] * len(table), pa.int32()),
    )
    assert scores.swap_scores(dsn, scores.stage_scores(dsn, _scored("two"), newer)) == 10
    assert _count(loader) == 20


def test_refused_scores_leave_nothing(
    dsn: str, loader: psycopg.Connection, table: pa.Table
) -> None:
    staged = scores.stage_scores(dsn, _scored("one"), table)
    load.discard(dsn, staged)
    assert _count(loader) == 0
    assert scores.swap_scores(dsn, staged) == 0
