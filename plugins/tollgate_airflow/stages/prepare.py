"""Stage prepare: Processed → the audit branch of Sandbox, gate sandbox, publish."""

from __future__ import annotations

from typing import Any

from contracts.settings import get_settings
from contracts.stage_results import PrepareResult, ProcessResult
from contracts.stages import Stage
from tollgate_airflow import gates, handover, lake
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run


@guarded
def write(context: Any) -> dict[str, Any]:
    """Compute the window's features on the audit branch; return the stage's result."""
    from spark.jobs.prepare import prepare

    run = Run.of(Stage.PREPARE, context)
    processed = handover.previous(ProcessResult, run)
    with lake.session() as spark:
        return prepare(spark, processed, run_id=run.run_id).to_dict()


@guarded
def gate(written: dict[str, Any]) -> str:
    """Judge the audit branch; a refused one is dropped."""
    from expectations.gates import gate_sandbox

    result = PrepareResult.from_dict(written)
    with lake.session() as spark:
        judged = gate_sandbox(spark, result, get_settings().state_dir)
        return gates.judge(judged, undo=lambda: lake.discard(spark, result))


@guarded
def publish(context: Any, written: dict[str, Any]) -> str:
    """Move `main` to what was judged; return the window that may go on."""
    run = Run.of(Stage.PREPARE, context)
    lake.publish(run, PrepareResult.from_dict(written))
    return run.window.key
