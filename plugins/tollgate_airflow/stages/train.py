"""Stage train: candidates on the Sandbox's features, the model gate, the champion."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from contracts.settings import get_settings
from contracts.stages import Stage
from contracts.windows import Window
from tollgate_airflow import connections, handover
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run


@guarded
def write(context: Any) -> dict[str, Any]:
    """Train, register and, when the model gate is open, promote; return what happened."""
    from ml.jobs.train import as_of_window_end, train
    from warehouse.lake import open_catalog
    from warehouse.ledger import record_gate

    settings = get_settings()
    catalog = open_catalog(settings, "reader")
    named = context["params"].get("window")
    run = Run.of(
        Stage.TRAIN,
        context,
        default=None if named else _last_day(catalog, context["params"]["source"]),
    )
    snapshots = handover.previous(Stage.PREPARE, run).snapshots if named else {}
    result, judged = train(
        settings,
        catalog,
        as_of=as_of_window_end(run.window),
        snapshots=snapshots,
        window=run.window,
        run_id=run.run_id,
    )
    record_gate(connections.warehouse("loader"), judged)
    handover.record(run, result)
    name, version = result.details["model_name"], result.details["model_version"]
    return {
        "model": f"{name} version {version}",
        "promoted": bool(result.details["promoted"]),
        "metrics": result.details["metrics"],
        "closed_checks": [c.name for c in judged.checks if not c.passed],
    }


def _last_day(catalog: Any, source: str) -> Window:
    """Return the last business date that has features."""
    partitions = catalog.load_table("sandbox.features").inspect.partitions().to_pylist()
    if not partitions:
        raise ValueError("Sandbox holds no features yet: run land_transactions first.")
    last = max(row["partition"]["event_date"] for row in partitions)
    return Window(source, last, last)


@guarded
def gate(trained: dict[str, Any]) -> str:
    """Say who is champion; skipped when the champion stays who it was."""
    if not trained["promoted"]:
        raise AirflowSkipException(
            f"{trained['model']} stays a challenger: the model gate closed on"
            f" {', '.join(trained['closed_checks']) or 'no check that is known'}."
        )
    return f"{trained['model']} is champion"
