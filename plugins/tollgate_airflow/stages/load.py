"""Stage load: Processed and Sandbox → shadow tables of STAGING, gate staging, atomic swap."""

from __future__ import annotations

from typing import Any

from contracts.settings import get_settings
from contracts.stage_results import LoadResult, PrepareResult, ProcessResult
from contracts.stages import Stage
from tollgate_airflow import connections, gates, handover
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run


@guarded
def write(context: Any) -> dict[str, Any]:
    """Copy the touched dates into shadow tables; return the result of the stage."""
    from lake.catalog import open_catalog
    from warehouse.load import stage

    run = Run.of(Stage.LOAD, context)
    return stage(
        open_catalog(get_settings(), "reader"),
        connections.warehouse("loader"),
        handover.previous(ProcessResult, run),
        handover.previous(PrepareResult, run),
        run.run_id,
    ).to_dict()


@guarded
def gate(written: dict[str, Any]) -> str:
    """Check the shadow tables against the lake; drop them when the gate closes."""
    from expectations.gates import gate_staging
    from lake.catalog import open_catalog
    from warehouse.load import discard

    settings = get_settings()
    result = LoadResult.from_dict(written)
    dsn = connections.warehouse("loader")
    gate_result = gate_staging(dsn, open_catalog(settings, "reader"), result, settings.state_dir)
    return gates.require_passed(gate_result, undo=lambda: discard(dsn, result))


@guarded
def publish(context: Any, written: dict[str, Any]) -> str:
    """Attach the shadow tables as partitions; return the window for the next stage."""
    from warehouse.load import swap

    run = Run.of(Stage.LOAD, context)
    handover.record(run, swap(connections.warehouse("loader"), LoadResult.from_dict(written)))
    return run.window.key
