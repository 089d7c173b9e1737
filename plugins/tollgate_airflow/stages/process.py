"""Stage process: Raw → the audit branch of Processed, gate processed, publish."""

from __future__ import annotations

from typing import Any

from contracts.settings import get_settings
from contracts.stage_results import LandResult, ProcessResult
from contracts.stages import Stage
from tollgate_airflow import connections, gates, handover, lake, raw
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run


@guarded
def write(context: Any) -> dict[str, Any]:
    """Write the window to the audit branch; return the result of the stage."""
    from spark.jobs.process import process
    from warehouse.withdrawals import active

    settings = get_settings()
    run = Run.of(Stage.PROCESS, context)
    landed = handover.previous(LandResult, run)
    manifests = raw.manifests(connections.s3("processor"), landed)
    with lake.session() as spark:
        return process(
            spark,
            manifests,
            run.window,
            run_id=run.run_id,
            raw_bucket=settings.s3.raw_bucket,
            key_file=settings.pseudonym_key_file,
            withdrawals=active(connections.warehouse("loader"), run.window.source),
        ).to_dict()


@guarded
def gate(context: Any, written: dict[str, Any]) -> str:
    """Check the audit branch; drop it when the gate closes."""
    from expectations.gates import gate_processed

    run = Run.of(Stage.PROCESS, context)
    result = ProcessResult.from_dict(written)
    landed = handover.previous(LandResult, run)
    manifests = raw.manifests(connections.s3("processor"), landed)
    with lake.session() as spark:
        gate_result = gate_processed(spark, result, manifests, get_settings().state_dir)
        return gates.require_passed(gate_result, undo=lambda: lake.discard(spark, result))


@guarded
def publish(context: Any, written: dict[str, Any]) -> str:
    """Fast-forward `main` to the audit branch; return the window for the next stage."""
    run = Run.of(Stage.PROCESS, context)
    lake.publish(run, ProcessResult.from_dict(written))
    return run.window.key
