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
    """Write the features of the window to the audit branch; return the result of the stage."""
    from spark.jobs.prepare import prepare

    run = Run.of(Stage.PREPARE, context)
    processed = handover.previous(ProcessResult, run)
    with lake.session() as spark:
        return prepare(spark, processed, run_id=run.run_id).to_dict()


@guarded
def gate(written: dict[str, Any]) -> str:
    """Check the audit branch; drop it when the gate closes."""
    from expectations.gates import gate_sandbox

    result = PrepareResult.from_dict(written)
    with lake.session() as spark:
        gate_result = gate_sandbox(spark, result, get_settings().state_dir)
        return gates.require_passed(gate_result, undo=lambda: lake.discard(spark, result))


@guarded
def publish(context: Any, written: dict[str, Any]) -> str:
    """Fast-forward `main` to the audit branch; return the window for the next stage."""
    run = Run.of(Stage.PREPARE, context)
    lake.publish(run, PrepareResult.from_dict(written))
    return run.window.key
