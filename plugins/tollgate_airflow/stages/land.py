"""Stage land: a window of a source into Raw, and gate raw."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from contracts.settings import get_settings
from contracts.stage_results import LandResult
from contracts.stages import Stage
from tollgate_airflow import connections, gates, handover, raw
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run

_log = logging.getLogger(__name__)


@guarded
def write(context: Any) -> dict[str, Any]:
    """Land the deliveries of the window; return the result of the stage."""
    from sources.discover import deliveries, label_deliveries, not_taken
    from sources.land import land

    settings = get_settings()
    run = Run.of(Stage.LAND, context)
    closed_days = tuple(map(date.fromisoformat, context["params"].get("closed_days") or ()))
    result = land(
        run.window,
        connections.s3("lander"),
        settings.s3.raw_bucket,
        deliveries(run.window, settings.data_dir, settings.deliveries, closed_days),
        run_id=run.run_id,
        labels=label_deliveries(run.window, settings.data_dir, settings.deliveries),
        not_taken=not_taken(run.window, settings.data_dir, settings.deliveries),
        closed_days=closed_days,
    )
    for sentence in result.not_taken:
        _log.warning("not taken: %s", sentence)
    return result.to_dict()


@guarded
def gate(context: Any, landed: dict[str, Any]) -> str:
    """Check the landed objects; record the landing and return the window for the next stage.

    A closed window has nothing for the next stage: the task is skipped, and no asset is updated.
    """
    from expectations.gates import gate_raw

    settings = get_settings()
    result = LandResult.from_dict(landed)
    run = Run.of(Stage.LAND, context, result.window)
    s3, bucket = connections.s3("lander"), settings.s3.raw_bucket
    landed_now = raw.manifests(s3, result)
    gates.require_passed(
        gate_raw(landed_now, run.window, run.run_id, s3, bucket, settings.state_dir)
    )
    handover.record(run, result)
    if result.closed:
        raise AirflowSkipException(
            f"{run.window.key} is closed: its days are declared to be without payments, and the"
            " source delivered none. No later stage runs."
        )
    return run.window.key
