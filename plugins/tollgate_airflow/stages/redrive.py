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
    """Say what would become of the quarantined rows of the window, a sentence an outcome."""
    from spark.jobs import redrive as job

    run = _run(context)
    processed = handover.previous(ProcessResult, run)
    with lake.session() as spark:
        try:
            outcomes = job.rehearse(spark, processed, **_given(context, processed))
        except job.NothingToRedriveError as nothing:
            raise AirflowSkipException(str(nothing)) from nothing
    said = [str(outcome) for outcome in outcomes]
    for sentence in said:
        _log.info("%s", sentence)
    return said


@guarded
def write(context: Any) -> dict[str, Any]:
    """Write what passes now to the audit branch; return the restated result of the window."""
    from spark.jobs import redrive as job

    run = _run(context)
    if context["params"]["dry_run"]:
        raise AirflowSkipException("a dry run: nothing is written; start it again without dry_run.")
    processed = handover.previous(ProcessResult, run)
    with lake.session() as spark:
        return job.redrive(
            spark, processed, run_id=run.run_id, **_given(context, processed)
        ).to_dict()


@guarded
def gate(context: Any, written: dict[str, Any]) -> str:
    """Judge the audit branch; a refused one is dropped."""
    from expectations.gates import gate_processed

    result = RedrivenResult.from_dict(written)
    manifests = raw.read_by(connections.s3("processor"), result)
    with lake.session() as spark:
        judged = gate_processed(spark, result, manifests, get_settings().state_dir)
        return gates.judge(judged, undo=lambda: lake.discard(spark, result))


@guarded
def publish(context: Any, written: dict[str, Any]) -> str:
    """Move `main` to what was judged, restate the ledger; return the window that may go on."""
    run = Run.of(Stage.REDRIVE, context)
    result = RedrivenResult.from_dict(written)
    lake.publish(run, result)
    # Last: from now on the run counts as done.
    handover.record(run, result.redrive)
    return run.window.key


def _run(context: Any) -> Run:
    """Return the run, unless it was published already: its rows would be counted a second time."""
    from warehouse.ledger import is_recorded

    run = Run.of(Stage.REDRIVE, context)
    if is_recorded(connections.warehouse("loader"), Stage.REDRIVE, run.run_id):
        raise AirflowSkipException(f"the run {run.run_id} was published: start a new one.")
    return run


def _given(context: Any, processed: ProcessResult) -> dict[str, Any]:
    settings = get_settings()
    return {
        "manifests": raw.read_by(connections.s3("processor"), processed),
        "reasons": context["params"]["reasons"] or (),
        "raw_bucket": settings.s3.raw_bucket,
        "key_file": settings.pseudonym_key_file,
    }
