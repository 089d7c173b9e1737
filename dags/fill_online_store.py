"""### Fill the online store of the decision API

Replaces the recent payments of a source in the online store by those of the lake, with the frauds
that are known among them. Decisions compute features from them.

| | |
| --- | --- |
| **When** | each time `process_transactions` publishes a window, once unpaused; manually |
| **In** | `lake.processed.transactions`, `lake.processed.labels` as published |
| **Out** | `serving.recent_payments`, `serving.category_counts`, or their rows in Redis |

**Run it again**: safe; the run replaces the payments of its source.

**When it fails**
- `fill`: the object store, Postgres or Redis was unavailable (retried automatically), Redis refuses
  the password, or the lake has no payment of the source. The store is unchanged, and decisions
  continue.
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import ONLINE_STORE_DAG, PROCESSED
from tollgate_airflow.wiring import DAG_OPTIONS, after, window_params

with DAG(
    ONLINE_STORE_DAG,
    description="Recent payments into the online store of the decision API",
    doc_md=__doc__,
    schedule=after(PROCESSED),
    params={"source": window_params("")["source"]},
    tags=["serving"],
    **DAG_OPTIONS,
):

    @task
    def fill(**context: Any) -> str:
        """Replace the payments of the source in the online store."""
        from tollgate_airflow.stages import online_store as stage

        return stage.fill(context)

    fill()
