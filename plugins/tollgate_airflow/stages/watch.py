"""The alert about windows that no stage takes further."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow.sdk.exceptions import AirflowFailException

from tollgate_airflow import connections
from tollgate_airflow.failures import guarded

_log = logging.getLogger(__name__)
_PATIENCE: Final = timedelta(hours=1)
_NAMED: Final = 5
"""Windows that an alert names."""
_ACTIVE: Final = ["queued", "running"]


@guarded
def find(context: Any) -> list[str]:
    """Return a sentence for each window that waits; fail when one has waited for an hour.

    A window is not late while the DAG that it waits for has an active run.
    """
    from warehouse.waiting import waiting_windows

    waiting = waiting_windows(connections.warehouse("loader"))
    sentences = [str(window) for window in waiting]
    for sentence in sentences:
        _log.info("%s", sentence)
    until = datetime.now(UTC) - _PATIENCE
    busy = {
        dag_id: context["ti"].get_dr_count(dag_id, states=_ACTIVE) > 0
        for dag_id in {window.dag_id for window in waiting}
    }
    late = [str(w) for w in waiting if w.since < until and not busy[w.dag_id]]
    if late:
        more = f"; and {len(late) - _NAMED} more" if len(late) > _NAMED else ""
        raise AirflowFailException(
            f"{'; '.join(late[:_NAMED])}{more}. Unpause the DAG, then run `make catch-up`, or"
            " trigger the DAG with the source and the window."
        )
    return sentences
