"""Train, register as challenger, and promote what passes the evaluation gate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import TYPE_CHECKING

from contracts.features import FEATURE_LIST_VERSION, FEATURE_NAMES, TRAINING_DAYS
from contracts.results import GateResult
from contracts.stage_results import CandidateFigures, TrainResult
from ml.errors import NoChampion, NotEnoughHistory

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient
    from pyiceberg.catalog import Catalog

    from contracts.settings import Settings
    from contracts.windows import Window
    from ml.onnx_export import Export
    from ml.promotion import Evidence
    from ml.training import Trained

__all__ = ["NotEnoughHistory", "as_of_window_end", "train"]


def as_of_window_end(window: Window) -> datetime:
    """Return the first instant after a window, UTC: what was known when its last day was over."""
    return datetime.combine(window.end + timedelta(days=1), clock.min, tzinfo=UTC)


def training_dates(as_of: datetime) -> list[date]:
    """Return the business dates that training reads: `TRAINING_DAYS` before `as_of`.

    >>> dates = training_dates(datetime(2024, 3, 1, tzinfo=UTC))
    >>> len(dates), str(dates[0]), str(dates[-1])
    (365, '2023-03-02', '2024-02-29')
    """
    return [as_of.date() - timedelta(days=n) for n in range(TRAINING_DAYS, 0, -1)]


def train(
    settings: Settings,
    catalog: Catalog,
    *,
    as_of: datetime,
    snapshots: Mapping[str, int],
    window: Window,
    run_id: str,
) -> tuple[TrainResult, GateResult]:
    """Train on the features of the window's source before `as_of`, with the labels known by then.

    The alias of the champion does not move: `register.promote` moves it, after the caller has
    recorded the evidence. A closed gate is no failure: the challenger stays registered, the
    champion stays champion, and the returned gate says why. A retry of a run registers no second
    version.

    Args:
        settings: where MLflow is.
        catalog: the lake, for reading.
        as_of: an instant, UTC.
        snapshots: recorded snapshots by table; a table that is not named is read as published now.
        window: the key that the run is recorded under; its source is learnt.
        run_id: the same over all retries of one run.

    Raises:
        NotEnoughHistory: when too little is known to train; do not retry.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from ml import dataset, register, tracking, training
    from ml.importance import importances
    from ml.onnx_export import export
    from ml.promotion import gate_model, verdict_reason

    started = time.monotonic()
    read = {
        table: dataset.snapshot_of(catalog, table, snapshots)
        for table in (dataset.FEATURES_TABLE, dataset.LABELS_TABLE)
    }
    dates = training_dates(as_of)
    data = dataset.labelled(
        dataset.read_features(catalog, read[dataset.FEATURES_TABLE], window.source, dates),
        dataset.read_labels(catalog, read[dataset.LABELS_TABLE], window.source, dates),
        as_of,
    )
    client = tracking.connect(settings)
    # One thread: the work is small, and on shared cores spinning threads cost ten times the time.
    with threadpool_limits(limits=1):
        trained = training.train(data, as_of)
        exported = export(trained.model, trained.test_matrix, trained.test_payments.score)
        evidence = _evidence(trained, exported, client, window.source)
        important = importances(trained)
        mlflow_run_id, version = register.record(
            trained,
            client,
            read,
            source=window.source,
            run_id=run_id,
            as_of=as_of.isoformat(),
            importances=important,
            onnx=exported.content,
        )
    trained_at = datetime.now(UTC)
    report = f"{settings.mlflow.tracking_uri}, run {mlflow_run_id}"
    gate = gate_model(evidence, window=window, run_id=run_id, report=report)
    promoted_at = datetime.now(UTC) if gate.passed else None
    result = TrainResult(
        window=window,
        run_id=run_id,
        snapshots=read,
        model_name=tracking.model_name(window.source),
        model_version=version,
        promoted=gate.passed,
        promoted_at=promoted_at,
        verdict_reason=verdict_reason(gate),
        refused_because=tuple(c.name for c in gate.checks if not c.passed),
        candidate=trained.name,
        candidates={
            name: CandidateFigures(
                validation_average_precision=trial.mean,
                validation_average_precision_sd=trial.deviation,
                training_average_precision=trial.training_average_precision,
                test_average_precision=trial.test.to_dict().get("average_precision"),
            )
            for name, trial in trained.trials.items()
        },
        metrics=register.headline(trained),
        importances=important,
        mlflow_run_id=mlflow_run_id,
        code_version=register.code_version(),
        trained_at=trained_at,
        feature_list_version=FEATURE_LIST_VERSION,
        unused_features=tuple(name for name in FEATURE_NAMES if name not in trained.null_share),
        as_of=as_of,
        rows_unlabelled=data.unlabelled,
        seconds=round(time.monotonic() - started, 2),
    )
    return result, gate


def _evidence(trained: Trained, exported: Export, client: MlflowClient, source: str) -> Evidence:
    """Return the evidence for the gate, with the champion's figures on the same rows."""
    from ml import evaluate
    from ml.candidates import BASELINE
    from ml.champion import load_champion
    from ml.promotion import Evidence

    champion = None
    score = None
    try:
        champion = load_champion(client, source)
    except NoChampion:
        pass
    else:
        if champion.passport.is_current:
            score = champion.score(trained.test_features)
    return Evidence(
        test=trained.test,
        everyone=trained.everyone,
        source=source,
        training_average_precision=trained.trials[trained.name].training_average_precision,
        baseline_training_average_precision=trained.trials[BASELINE].training_average_precision,
        champion_average_precision=None
        if score is None
        else evaluate.average_precision(
            trained.test_payments.with_scores(score).where(trained.unknown)
        ),
        champion=champion.title if champion else None,
        champion_is_comparable=champion is None or champion.passport.is_current,
        alert_share=float((trained.test_payments.score >= trained.bands.high).mean()),
        onnx_difference=exported.difference,
        onnx_problem=exported.problem,
    )
