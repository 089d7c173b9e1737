"""Refresh of run, task and gate marts, dbt docs and data docs, after the last stage."""

from __future__ import annotations

from typing import Any

from contracts.settings import get_settings
from contracts.stages import Stage
from tollgate_airflow import connections
from tollgate_airflow.failures import guarded
from tollgate_airflow.runs import Run


@guarded
def refresh(context: Any) -> None:
    """Refresh the marts of runs, tasks and gates, the dbt docs and the data docs."""
    from expectations.docs import update_data_docs, upload
    from warehouse.transform import generate_docs, publish_recent

    settings = get_settings()
    publish_recent(settings, Run.of(Stage.SCORE, context).run_id, "operations")
    generate_docs(settings)
    update_data_docs(settings.state_dir)
    upload(settings.state_dir, connections.s3("platform"), settings.s3.docs_bucket)
