"""The decisions of the API: log → Raw → a shadow table of STAGING → STAGING and PRODUCTION."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from contracts.settings import get_settings
from contracts.stage_results import LandResult
from contracts.windows import Window, WindowError
from tollgate_airflow import connections, gates, raw
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import window_key

if TYPE_CHECKING:
    from sources.manifest import Manifest


@guarded
def land(context: Any) -> dict[str, Any]:
    """Land the decisions of the window; return the landing, or skip the run without a decision."""
    from serving.landing import land

    window = window_of(context)
    dsn, bucket = connections.warehouse("loader"), get_settings().s3.raw_bucket
    landed = land(dsn, connections.s3("lander"), bucket, window, run_id_of(window, context))
    if not landed.objects:
        raise AirflowSkipException(f"{window.key} has no decision.")
    return landed.to_dict()


@guarded
def gate_raw(landed: dict[str, Any]) -> str:
    """Check the landed object against the log and the store."""
    from expectations.gates import gate_landed_decisions
    from serving.landing import count_changed, count_logged

    settings, result = get_settings(), LandResult.from_dict(landed)
    logged = count_logged(connections.warehouse("loader"), result.window)
    s3, bucket = connections.s3("lander"), settings.s3.raw_bucket
    manifest = _manifest(s3, result)
    changed = count_changed(s3, bucket, manifest)
    return gates.require_passed(
        gate_landed_decisions(
            manifest, logged, changed, result.run_id, s3, bucket, settings.state_dir
        )
    )


@guarded
def load(landed: dict[str, Any]) -> str:
    """Copy the landed decisions into a shadow table; return its name."""
    from serving.landing import landed_rows
    from warehouse.decisions import stage

    result, s3 = LandResult.from_dict(landed), connections.s3("lander")
    rows = landed_rows(s3, get_settings().s3.raw_bucket, _manifest(s3, result))
    return stage(connections.warehouse("loader"), result.run_id, rows)


@guarded
def gate_staging(landed: dict[str, Any], name: str) -> str:
    """Check the shadow table against Raw; drop it when the gate closes."""
    from expectations.gates import gate_staged_decisions
    from warehouse.decisions import discard

    result, dsn = LandResult.from_dict(landed), connections.warehouse("loader")
    manifest = _manifest(connections.s3("lander"), result)
    checked = gate_staged_decisions(dsn, name, manifest, result.run_id, get_settings().state_dir)
    return gates.require_passed(checked, undo=lambda: discard(dsn, name))


@guarded
def publish(landed: dict[str, Any], name: str) -> str:
    """Add the shadow table to STAGING and build the marts; return the window."""
    from warehouse.decisions import add
    from warehouse.transform import publish_recent

    result = LandResult.from_dict(landed)
    add(connections.warehouse("loader"), name)
    publish_recent(get_settings(), result.run_id, "decisions")
    return result.window.key


def window_of(context: Any) -> Window:
    """Return the dates of decisions of a run.

    Raises:
        WindowError: when there are none, or they are malformed.
    """
    key = window_key(context)
    if key is None:
        raise WindowError(
            f"{context['dag_run'].dag_id} was started without dates: set the parameter `window`,"
            " for example to 2026-11-29."
        )
    return Window.parse(key)


def run_id_of(window: Window, context: Any) -> str:
    """Return the id of a run, the same when its tasks are retried or cleared."""
    run = context["dag_run"]
    name = hashlib.sha256(f"{run.dag_id} {run.run_id}".encode()).hexdigest()[:8]
    return f"decisions_{window.span.replace('-', '')}_{name}"


def _manifest(s3: Any, landed: LandResult) -> Manifest:
    (manifest,) = raw.manifests(s3, landed)
    return manifest
