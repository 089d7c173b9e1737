"""Stage redrive: quarantined rows of Raw to the audit branch, gate processed, publish."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from contracts.settings import get_settings
from contracts.stage_results import ProcessResult, RedrivenResult
from contracts.stages import Stage
from tollgate_airflow import connections, gates, handover, lake, raw
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run

_log = logging.getLogger(__name__)


@guarded
def rehearse(context: Any) -> list[str]:
    """Return the expected outcomes for the quarantined rows of the window, as sentences."""
    from spark.jobs import redrive as job

    run = _run(context)
    processed = handover.previous(ProcessResult, run)
    with lake.session() as spark:
        try:
            outcomes = job.rehearse(spark, processed, **_arguments(context, processed))
        except job.NothingToRedriveError as nothing:
            raise AirflowSkipException(str(nothing)) from nothing
    sentences = [str(outcome) for outcome in outcomes]
    for sentence in sentences:
        _log.info("%s", sentence)
    return sentences


@guarded
def write(context: Any) -> dict[str, Any]:
    """Write rows that pass to the audit branch; return the restated result of the window."""
    from spark.jobs import redrive as job

    run = _run(context)
    if context["params"]["dry_run"]:
        raise AirflowSkipException("a dry run: nothing is written; start it again without dry_run.")
    processed = handover.previous(ProcessResult, run)
    with lake.session() as spark:
        return job.redrive(
            spark, processed, run_id=run.run_id, **_arguments(context, processed)
        ).to_dict()


@guarded
def gate(context: Any, written: dict[str, Any]) -> str:
    """Check the audit branch; drop it when the gate closes."""
    from expectations.gates import gate_processed

    result = RedrivenResult.from_dict(written)
    manifests = raw.read_by(connections.s3("processor"), result)
    with lake.session() as spark:
        gate_result = gate_processed(spark, result, manifests, get_settings().state_dir)
        return gates.require_passed(gate_result, undo=lambda: lake.discard(spark, result))


@guarded
def publish(context: Any, written: dict[str, Any]) -> str:
    """Publish the audit branch and restate the ledger; return the window for the next stage."""
    run = Run.of(Stage.REDRIVE, context)
    result = RedrivenResult.from_dict(written)
    lake.publish(run, result)
    # As the last step: afterwards the run counts as done.
    handover.record(run, result.redrive)
    return run.window.key


def _run(context: Any) -> Run:
    """Return the run; skip the task if it was published, since its rows would count twice."""
    from warehouse.ledger import is_recorded

    run = Run.of(Stage.REDRIVE, context)
    if is_recorded(connections.warehouse("loader"), Stage.REDRIVE, run.run_id):
        raise AirflowSkipException(f"the run {run.run_id} was published: start a new one.")
    return run


def _arguments(context: Any, processed: ProcessResult) -> dict[str, Any]:
    from warehouse.withdrawals import active

    settings = get_settings()
    return {
        "manifests": raw.read_by(connections.s3("processor"), processed),
        "reasons": context["params"]["reasons"] or (),
        "raw_bucket": settings.s3.raw_bucket,
        "key_file": settings.pseudonym_key_file,
        "withdrawals": active(connections.warehouse("loader"), processed.window.source),
    }
