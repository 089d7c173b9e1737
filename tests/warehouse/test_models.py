"""Models in the warehouse: each version once, its reign, and what its features do day by day."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from contracts.render import to_arrow
from contracts.stage_results import ScoreResult
from contracts.tables import TABLES
from contracts.windows import Window
from tests.stage_results import result_of
from warehouse import model_registry_export, scores, transform

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.usefixtures("payment_marts"),
    pytest.mark.random_order(disabled=True),
]
_DAY = "2024-05-01"
_DRIFT = TABLES["staging.feature_drift"]


def _select(line: Any, query: str, role: str = "reader") -> list[tuple[Any, ...]]:
    with psycopg.connect(line.settings.warehouse.dsn(role)) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def line(new_line: Callable[[], Any]) -> Any:
    """A line on which a day is published and scored."""
    made = new_line()
    made.run(_DAY)
    made.score(_DAY)
    transform.publish(made.settings, made.build(_DAY, "scores"))
    return made


def test_a_version_is_recorded_once_and_a_retry_replaces_it(new_line: Callable[[], Any]) -> None:
    line = new_line()
    trained = line.train()
    model_registry_export.record_model(line.loader, trained)
    assert _select(
        line,
        "select source_system, trained_as_of_date::text, training_snapshots, training_count,"
        " training_fraud_count, test_auc, test_card_precision_100, verdict, promoted_at"
        " from staging.model_versions",
        "loader",
    ) == [
        ("sparkov", "2024-04-30", "processed.labels 8, sandbox.features 7", 900, 9, 0.9, None,
         "promoted", datetime(2024, 5, 2, 3, tzinfo=UTC)),
    ]  # fmt: skip
    worth = "select feature_name, importance from staging.feature_importances order by 1"
    assert _select(line, worth, "loader") == [("one", 0.25), ("two", -0.01)]


def test_a_new_champion_is_in_dim_models_before_it_scores(line: Any) -> None:
    line.train(version=2, promoted=False)
    line.train(version=3)
    line.train("handbook")
    before = _select(line, "select * from production.rpt_model_performance")
    transform.publish_models(line.settings, Window.of("sparkov", _DAY), "train 3")
    rows = _select(
        line,
        "select model_version, is_champion, champion_from_at, champion_to_at"
        " from production.dim_models order by 1",
    )
    first, third = (datetime(2024, 5, day, 3, tzinfo=UTC) for day in (2, 4))
    # The other source's model waits for its own build.
    assert rows == [(1, False, first, third), (2, False, None, None), (3, True, third, None)]
    assert _select(line, "select * from production.rpt_model_performance") == before
    transform.publish_models(line.settings, Window.of("handbook", _DAY), "train 1")
    champions = "select model_name from production.dim_models where is_champion order by 1"
    assert _select(line, champions) == [("fraud_detector_handbook",), ("fraud_detector_sparkov",)]


def test_insights_count_the_alerts_a_feature_caused(line: Any) -> None:
    rows = _select(
        line,
        "select feature_name, importance, importance_rank, stability_index, drift_level,"
        " alert_count, top_reason_count, top_reason_share"
        " from production.rpt_feature_insights order by 1",
    )
    assert rows == [
        ("one", 0.25, 1, 0.2, "moderate", 3, 3, 1.0),
        ("two", -0.01, 2, 0.2, "moderate", 3, 0, 0.0),
    ]


def test_drift_is_that_of_the_latest_run(line: Any) -> None:
    rows = _select(line, f"select {', '.join(_DRIFT.column_names)} from {_DRIFT.name}", "loader")
    newer = [dict(zip(_DRIFT.column_names, row, strict=True)) for row in rows]
    newer = [{**row, "stability_index": 0.7, "run_id": "later"} for row in newer[:1]]
    nothing = pa.Table.from_pylist([], to_arrow.schema(TABLES["staging.scores"]))
    drift = pa.Table.from_pylist(newer, to_arrow.schema(_DRIFT))
    result = result_of(ScoreResult, f"sparkov@{_DAY}", "later")
    staged = scores.stage_scores(line.loader, result, nothing, drift)
    assert len(_select(line, f"select * from {_DRIFT.name}", "loader")) == 2
    assert scores.swap_scores(line.loader, staged) == 0
    # The other feature is no longer among those that were measured.
    now = _select(line, f"select stability_index, run_id from {_DRIFT.name}", "loader")
    assert now == [(0.7, "later")]
    transform.publish(line.settings, line.build(_DAY, "scores"))
    shown = _select(line, "select drift_level from production.fct_feature_drift")
    assert shown == [("large",)]
