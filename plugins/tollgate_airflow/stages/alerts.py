"""The alerts of the stream: Kafka → STAGING, and those that wait → PRODUCTION by dbt."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from contracts.settings import get_settings
from contracts.windows import Window
from tollgate_airflow import connections
from tollgate_airflow.failures import guarded

_log = logging.getLogger(__name__)


@guarded
def record(context: Any) -> str:
    """Record the alerts that wait in Kafka; return what became of the messages, as a sentence."""
    from streaming.alerts import record_alerts

    dsn = connections.warehouse("loader")
    recorded = record_alerts(get_settings().kafka, dsn, _run_id(context))
    _log.info("%s", recorded)
    return str(recorded)


@guarded
def publish(context: Any) -> list[str]:
    """Build the scores of the dates with unpublished alerts; return the windows of these dates.

    The task is skipped when no alert waits whose payment is in PRODUCTION.
    """
    from warehouse.stream_alerts import unpublished
    from warehouse.transform import build_and_publish

    settings, windows = get_settings(), []
    for source, dates in sorted(unpublished(settings).items()):
        window = Window(source, dates[0], dates[-1])
        build_and_publish(
            settings, window=window, run_id=_run_id(context), dates=dates, layer="scores"
        )
        windows.append(window.key)
    if not windows:
        raise AirflowSkipException("no alert waits whose payment is in PRODUCTION")
    return windows


def _run_id(context: Any) -> str:
    return f"{context['dag_run'].dag_id} {context['dag_run'].run_id}"
