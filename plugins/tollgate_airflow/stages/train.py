"""Stage train: candidates on the Sandbox's features, the model gate, the champion."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from contracts.settings import get_settings
from contracts.stage_results import PrepareResult, TrainResult
from contracts.stages import Stage
from contracts.windows import Window
from tollgate_airflow import connections, handover
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run
from tollgate_airflow.task_metrics import belongs_to


@guarded
def write(context: Any) -> dict[str, Any]:
    """Train and register a model, and promote it if it passes the model gate; return its result.

    The alias of the champion moves last, so that no model scores without its evidence on record.
    Without a window, training uses data up to the last date of the source with features.
    """
    from lake.catalog import open_catalog
    from lake.tags import model_tag, tag_snapshots
    from ml import register, tracking
    from ml.dataset import FEATURES_TABLE, last_day, snapshot_of
    from ml.jobs.train import as_of_window_end, train
    from warehouse.ledger import record_gate
    from warehouse.model_registry_export import record_model

    settings = get_settings()
    catalog = open_catalog(settings, "reader")
    default, snapshots = None, {}
    if not context["params"].get("window"):
        source = context["params"]["source"]
        snapshots = {FEATURES_TABLE: snapshot_of(catalog, FEATURES_TABLE, {})}
        last = last_day(catalog, snapshots[FEATURES_TABLE], source)
        default = Window(source, last, last)
    run = Run.of(Stage.TRAIN, context, default=default)
    belongs_to(run)
    if default is None:
        snapshots = handover.previous(PrepareResult, run).snapshots
    result, gate_result = train(
        settings,
        catalog,
        as_of=as_of_window_end(run.window),
        snapshots=snapshots,
        window=run.window,
        run_id=run.run_id,
    )
    # Table maintenance keeps the tagged training data.
    with closing(open_catalog(settings, "processor")) as writer:
        tag_snapshots(writer, result.snapshots, model_tag(result.model_name, result.model_version))
    record_gate(connections.warehouse("loader"), gate_result)
    record_model(connections.warehouse("loader"), result)
    handover.record(run, result)
    if result.promoted:
        register.promote(tracking.connect(settings), run.window.source, result.model_version)
    return result.to_dict()


@guarded
def gate(context: Any, trained: dict[str, Any]) -> str:
    """Publish `dim_models`; skip the task when the champion does not change."""
    from warehouse.transform import publish_models

    result = TrainResult.from_dict(trained)
    run = Run.of(Stage.TRAIN, context, default=result.window)
    belongs_to(run)
    publish_models(get_settings(), run.window, run.run_id)
    model = f"{result.model_name} version {result.model_version}"
    if not result.promoted:
        raise AirflowSkipException(
            f"{model} stays a challenger: the model gate closed on"
            f" {', '.join(result.refused_because) or 'no check that is known'}."
        )
    return f"{model} is champion"
