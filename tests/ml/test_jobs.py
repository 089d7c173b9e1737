"""Training and scoring against the real MLflow server, with its login and its S3 artefacts."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts.columns import MOST_REASONS
from contracts.render import to_arrow
from contracts.results import GateResult
from contracts.settings import Settings
from contracts.stage_results import ScoreResult, TrainResult
from contracts.tables import TABLES
from contracts.windows import Window
from expectations.gates import gate_scores
from ml import register, tracking
from ml.jobs.score import NoChampion, score
from ml.jobs.train import as_of_window_end, train

pytestmark = [pytest.mark.stack, pytest.mark.random_order(disabled=True)]

World = tuple[pa.Table, pa.Table]
HISTORY = Window.parse("sparkov@2024-05-01--2024-06-29")
DAY = Window.parse("sparkov@2024-06-29")


@pytest.fixture(scope="module", autouse=True)
def _own_model() -> Iterator[None]:
    """Register under another name, so that the platform's champion does not change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "MODEL_PREFIX", f"test_{uuid.uuid4().hex[:8]}")
        yield


@dataclass(frozen=True)
class Site:
    settings: Settings
    lake: Any

    def train(
        self, snapshots: dict[str, int], run_id: str, window: Window = HISTORY
    ) -> tuple[TrainResult, GateResult]:
        """Train, and promote what passes, as the stage does after it has recorded the evidence."""
        result, gate = train(
            self.settings,
            self.lake.catalog,
            as_of=as_of_window_end(window),
            snapshots=snapshots,
            window=window,
            run_id=run_id,
        )
        if result.promoted:
            client = tracking.connect(self.settings)
            register.promote(client, window.source, result.model_version)
        return result, gate

    def score(
        self, snapshots: dict[str, int], window: Window = DAY
    ) -> tuple[ScoreResult, pa.Table]:
        return self.score_and_drift(snapshots, window)[:2]

    def score_and_drift(
        self, snapshots: dict[str, int], window: Window = DAY
    ) -> tuple[ScoreResult, pa.Table, pa.Table]:
        return score(
            self.settings,
            self.lake.catalog,
            dates=list(window.dates()),
            snapshots=snapshots,
            window=window,
            run_id="score_1",
        )

    def alias(self, name: str, source: str = "sparkov") -> int:
        client = tracking.connect(self.settings)
        model = tracking.model_name(source)
        return int(client.get_model_version_by_alias(model, name).version)


@pytest.fixture
def site(mlflow: Settings, lake: Any) -> Site:
    return Site(mlflow, lake)


def test_a_model_is_trained_promoted_and_replaced(
    site: Site, world: World, build_world: Callable[..., World]
) -> None:
    """Slow: trains four times, each with three candidates and their plots."""
    snapshots = site.lake.publish(world)
    with pytest.raises(NoChampion, match="run the DAG train_fraud_model"):
        site.score(snapshots)

    result, gate = site.train(snapshots, "train_1")
    assert gate.passed, [check for check in gate.checks if not check.passed]
    assert result.promoted
    assert result.promoted_at >= result.trained_at
    assert "there is no champion yet" in result.verdict_reason
    assert (site.alias("challenger"), site.alias("champion")) == (1, 1)
    assert result.snapshots == snapshots
    assert {"average_precision", "auc", "card_precision_100", "threshold", "prevalence"} <= set(
        result.metrics
    )
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert TrainResult.from_dict(plain) == result
    recorded_in_mlflow(site, result)

    scored, first, drift = site.score_and_drift(snapshots)
    check_scores(scored, first, world)
    check_drift(drift, result, first.num_rows)

    # Features without a signal: the challenger is registered, the champion does not change.
    useless = site.lake.publish(build_world(planted=0.0))
    refused, closed = site.train(useless, "train_2")
    assert not closed.passed
    assert not refused.promoted
    assert "not_worse_than_champion" in refused.refused_because
    assert "not_worse_than_champion: " in refused.verdict_reason
    assert refused.promoted_at is None
    assert (site.alias("challenger"), site.alias("champion")) == (2, 1)
    assert closed.report is not None
    assert refused.mlflow_run_id in closed.report

    # A retry of the run continues it.
    retried, _ = site.train(useless, "train_2")
    assert (retried.model_version, retried.mlflow_run_id) == (2, refused.mlflow_run_id)
    recorded_in_mlflow(site, retried)

    # The same data again: the same model to the last bit, and no worse than the champion.
    repeated, _ = site.train(snapshots, "train_3")
    assert repeated.metrics == result.metrics
    assert site.alias("champion") == 3
    again, second = site.score(snapshots)
    assert again.model_version == 3
    for column in (
        "event_id",
        "score",
        "risk_level",
        "decision",
        "reason_codes",
        "reason_sentences",
    ):
        assert second[column].to_pylist() == first[column].to_pylist()


def test_two_sources_on_the_same_days_have_a_model_each(
    site: Site, world: World, build_world: Callable[..., World], tmp_path: Path
) -> None:
    """Slow: trains once for each source."""
    lacking = ("time_since_last_seconds", "home_distance_km")
    other = build_world(seed=21, planted=0.7, source="handbook", currency="EUR", lacking=lacking)
    history, day = Window("handbook", HISTORY.start, HISTORY.end), Window.of("handbook", DAY.span)
    snapshots = site.lake.publish(world, other)
    ours, _ = site.train(snapshots, "train_sparkov")
    assert ours.unused_features == ()
    with pytest.raises(NoChampion, match="handbook has no champion"):
        site.score(snapshots, day)

    champion = site.alias("champion")
    theirs, gate = site.train(snapshots, "train_handbook", history)
    assert gate.passed, [check for check in gate.checks if not check.passed]
    assert (theirs.window.source, theirs.model_version) == ("handbook", 1)
    assert theirs.unused_features == lacking
    assert theirs.snapshots == snapshots
    assert site.alias("champion", "handbook") == 1
    assert site.alias("champion") == champion

    for window, mine, currency in ((DAY, world, "USD"), (day, other, "EUR")):
        scored, scores = site.score(snapshots, window)
        (balance,) = scored.balances
        assert (balance.source_system, balance.currency) == (window.source, currency)
        today = mine[0].filter(pa.compute.equal(mine[0]["event_date"], DAY.end))
        assert balance.rows_in == balance.rows_out == today.num_rows
        assert sorted(scores["event_id"].to_pylist()) == sorted(today["event_id"].to_pylist())
        assert set(scores["source_system"].to_pylist()) == {window.source}
        assert set(scores["model_name"].to_pylist()) == {tracking.model_name(window.source)}
        result = gate_scores(site.lake.catalog, scored, scores, tmp_path)
        assert result.passed, [check for check in result.checks if not check.passed]


def recorded_in_mlflow(site: Site, result: TrainResult) -> None:
    client = tracking.connect(site.settings)
    run = client.get_run(result.mlflow_run_id)
    table, snapshot = next(iter(result.snapshots.items()))
    assert run.data.params[f"snapshot_{table}"] == str(snapshot)
    assert run.data.tags["code_version"]
    assert run.data.params["source"] == run.data.tags["source"] == "sparkov"
    assert run.data.metrics["average_precision"] == pytest.approx(
        result.metrics["average_precision"]
    )
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    plots = ("precision_recall", "calibration", "importances", "contributions")
    assert {f"{name}.png" for name in plots} <= files
    children = client.search_runs(
        [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    )
    assert sorted(child.data.tags["candidate"] for child in children) == [
        "isolation_forest",
        "logistic_regression",
        "xgboost",
    ]


def check_drift(drift: pa.Table, trained: TrainResult, rows: int) -> None:
    """A day that is like those before it: features whose values repeat over days have not moved."""
    assert drift.schema.equals(to_arrow.schema(TABLES["staging.feature_drift"]))
    lines = {line["feature_name"]: line for line in drift.to_pylist()}
    # A day is all weekend or none, whatever the weeks were.
    assert set(lines) == set(trained.importances) - {"is_weekend"}
    assert {line["transaction_count"] for line in lines.values()} == {rows}
    # Ten bins over 120 payments: about 0.08 by chance.
    assert lines["amount"]["stability_index"] < 0.25
    assert lines["time_since_last_seconds"]["training_null_share"] == pytest.approx(0.02, abs=0.01)


def check_scores(result: ScoreResult, scores: pa.Table, world: World) -> None:
    assert scores.schema.equals(to_arrow.schema(TABLES["staging.scores"]))
    features = world[0].filter(pa.compute.equal(world[0]["event_date"], date(2024, 6, 29)))
    assert sorted(scores["event_id"].to_pylist()) == sorted(features["event_id"].to_pylist())
    (balance,) = result.balances
    assert balance.rows_in == balance.rows_out == features.num_rows
    assert balance.amount_in == balance.amount_out == sum(features["amount"].to_pylist())
    assert not any(column.null_count for column in scores.columns)
    reasons_by_level = {
        level: [r for r, seen in zip(scores["reason_sentences"].to_pylist(),
                scores["risk_level"].to_pylist(), strict=True) if seen == level]
        for level in ("low", "high", "critical")
    }  # fmt: skip
    assert not any(reasons_by_level["low"])
    alerts = reasons_by_level["high"] + reasons_by_level["critical"]
    assert alerts
    assert all(1 <= len(reasons) <= MOST_REASONS for reasons in alerts)


def test_no_login_reaches_the_log_or_the_tracking_address(
    site: Site, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import mlflow as library

    tracking.connect(site.settings)
    password = site.settings.mlflow.password.get_secret_value()
    assert password not in library.get_tracking_uri()
    assert password not in "".join(capfd.readouterr())
