"""The online store of the decision API, filled from Processed."""

from __future__ import annotations

from typing import Any

from contracts.settings import get_settings
from contracts.windows import Window
from tollgate_airflow import connections
from tollgate_airflow.failures import guarded


@guarded
def fill(context: Any) -> str:
    """Fill the store for the source of the run; return what it then has, as a sentence."""
    from lake.catalog import open_catalog
    from serving.fill import fill as fill_store
    from serving.redis_store import FILL_SECONDS, redis_store

    key = context["dag_run"].partition_key
    source = Window.parse(key).source if key else context["params"]["source"]
    settings, dsn = get_settings(), connections.warehouse("loader")
    redis = redis_store(settings.api, FILL_SECONDS)
    done = fill_store(open_catalog(settings), dsn, source, redis=redis)
    return f"{source}: {done.payments:,} payments from {done.first_date} to {done.last_date}"
