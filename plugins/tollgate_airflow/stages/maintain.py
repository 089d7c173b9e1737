"""Maintenance of the lake tables while no run writes to them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from contracts.assets import DAG_OF_STAGE
from contracts.settings import get_settings
from contracts.stages import Stage
from tollgate_airflow import connections, lake
from tollgate_airflow.failures import guarded

_log = logging.getLogger(__name__)
_WRITERS: Final = (Stage.PROCESS, Stage.PREPARE, Stage.REDRIVE)


def is_quiet(context: Any) -> bool:
    """Return whether no DAG that writes the lake has an active run."""
    busy = [
        DAG_OF_STAGE[stage]
        for stage in _WRITERS
        if context["ti"].get_dr_count(DAG_OF_STAGE[stage], states=["running"])
    ]
    if busy:
        _log.info("waiting for %s", ", ".join(busy))
    return not busy


@guarded
def maintain(context: Any) -> list[dict[str, Any]]:
    """Maintain the tables as the parameters say; return the changes of each table."""
    from lake.catalog import open_catalog
    from lake.maintenance import Limits
    from lake.maintenance import maintain as maintain_tables
    from warehouse.ledger import snapshots_in_use

    params, now = context["params"], datetime.now(UTC)

    def ago(name: str) -> datetime:
        return now - timedelta(days=params[name])

    limits = Limits(
        snapshots_since=ago("keep_days"),
        snapshots_at_least=params["keep_last"],
        branches_since=ago("branch_days"),
        orphans_since=ago("orphan_days"),
    )
    named = snapshots_in_use(connections.warehouse("loader"), since=ago("in_flight_days"))
    catalog = open_catalog(get_settings(), "reader")
    with lake.session() as spark:
        results = maintain_tables(spark, catalog, limits, in_use=named, dry_run=params["dry_run"])
    did = "would do" if params["dry_run"] else "did"
    for result in results:
        _log.info("%s %s", did, result)
    return [result.to_dict() for result in results]
