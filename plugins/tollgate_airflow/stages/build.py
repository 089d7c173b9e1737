"""Stage build: STAGING → the audit schema of PRODUCTION by dbt, gate production, publish."""

from __future__ import annotations

from typing import Any

from contracts.settings import get_settings
from contracts.stage_results import BuildResult, LoadResult
from contracts.stages import Stage
from tollgate_airflow import connections, gates, handover
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run


@guarded
def write(context: Any) -> dict[str, Any]:
    """Build and test the core marts for the touched dates; return the result of the stage."""
    from warehouse.transform import build

    run = Run.of(Stage.BUILD, context)
    loaded = handover.previous(LoadResult, run)
    return build(
        get_settings(), window=run.window, run_id=run.run_id, dates=loaded.dates, layer="core"
    ).to_dict()


@guarded
def gate(written: dict[str, Any]) -> str:
    """Check the audit schema against STAGING; reset it when the gate closes."""
    from expectations.gates import gate_production
    from warehouse.transform import discard

    settings = get_settings()
    result = BuildResult.from_dict(written)
    dsn = connections.warehouse("transformer")
    gate_result = gate_production(dsn, result, settings.state_dir)
    return gates.require_passed(gate_result, undo=lambda: discard(settings, result))


@guarded
def publish(context: Any, written: dict[str, Any]) -> str:
    """Publish the build in one transaction; return the window for the next stage."""
    from warehouse.transform import publish as show

    run = Run.of(Stage.BUILD, context)
    result = BuildResult.from_dict(written)
    show(get_settings(), result)
    handover.record(run, result)
    return run.window.key
