"""Stage score: the champion's scores → STAGING, gate scores, the score marts by dbt."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from contracts.settings import get_settings
from contracts.stage_results import PrepareResult, ScoreResult
from contracts.stages import Stage
from tollgate_airflow import connections, gates, handover
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run


@guarded
def write(context: Any) -> dict[str, Any]:
    """Score the window into a shadow table; skip the task without a champion."""
    from lake.catalog import open_catalog
    from ml.errors import NoChampion
    from ml.jobs.score import score
    from warehouse.scores import stage_scores

    settings = get_settings()
    run = Run.of(Stage.SCORE, context)
    prepared = handover.previous(PrepareResult, run)
    try:
        scored, table, drift = score(
            settings,
            open_catalog(settings, "reader"),
            dates=prepared.dates,
            snapshots=prepared.snapshots,
            window=run.window,
            run_id=run.run_id,
        )
    except NoChampion as error:
        raise AirflowSkipException(str(error)) from error
    return stage_scores(connections.warehouse("loader"), scored, table, drift).to_dict()


@guarded
def gate(written: dict[str, Any]) -> str:
    """Check the scores; drop them when the gate closes."""
    from expectations.gates import gate_scores
    from expectations.scores import read_shadow
    from lake.catalog import open_catalog
    from warehouse.load import discard

    settings = get_settings()
    result = ScoreResult.from_dict(written)
    dsn = connections.warehouse("loader")
    gate_result = gate_scores(
        open_catalog(settings, "reader"),
        result,
        read_shadow(dsn, result),
        settings.state_dir,
        read_shadow(dsn, result, "staging.feature_drift"),
    )
    return gates.require_passed(gate_result, undo=lambda: discard(dsn, result))


@guarded
def publish(context: Any, written: dict[str, Any]) -> str:
    """Publish the scores to STAGING, build their marts and publish these."""
    from warehouse.scores import swap_scores
    from warehouse.transform import build_and_publish

    settings = get_settings()
    run = Run.of(Stage.SCORE, context)
    result = ScoreResult.from_dict(written)
    swap_scores(connections.warehouse("loader"), result)
    build_and_publish(
        settings, window=run.window, run_id=run.run_id, dates=result.dates, layer="scores"
    )
    handover.record(run, result)
    return run.window.key
