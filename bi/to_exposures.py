"""dbt exposures: the marts of each dashboard and of the API, for the lineage in the dbt docs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from bi.dashboards import DASHBOARDS
from bi.model import Dashboard
from bi.to_superset import HEADER, text
from contracts.settings import HOST, PORT_OFFSETS
from contracts.tables import TABLES
from serving.analytics import LISTS

_FILE: Final = Path("dbt_project/models/_exposures.yml")
_OWNERS: Final = {
    "fraud": {"name": "Fraud analytics", "email": "fraud@tollgate.example"},
    "platform": {"name": "Data platform", "email": "platform@tollgate.example"},
}
_PORT: Final = 15400 + PORT_OFFSETS["superset"]
_API_PORT: Final = 15400 + PORT_OFFSETS["api"]
_DECISIONS: Final = TABLES["production.fct_decisions"]


def _exposure(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "name": dashboard.name,
        "label": dashboard.title,
        "type": "dashboard",
        "maturity": "medium",
        "url": f"http://{HOST}:{_PORT}/superset/dashboard/{dashboard.slug}/",
        "description": dashboard.question,
        "owner": dict(_OWNERS[dashboard.owner]),
        "depends_on": [f"ref('{table}')" for table in dashboard.tables],
    }


def _api() -> dict[str, Any]:
    """Return the exposure of the API: the marts of its lists, and that of its decisions."""
    return {
        "name": "decision_api",
        "label": "Decision API",
        "type": "application",
        "maturity": "medium",
        "url": f"http://{HOST}:{_API_PORT}/docs",
        "description": "The lists of the API for analysts, and the decisions that it has given.",
        "owner": dict(_OWNERS["fraud"]),
        "depends_on": [f"ref('{table.short_name}')" for table in (*LISTS.values(), _DECISIONS)],
    }


def generated() -> dict[Path, str]:
    """Return the generated file, relative to the repository, with its content."""
    exposures = [*(_exposure(dashboard) for dashboard in DASHBOARDS), _api()]
    return {_FILE: HEADER + text({"version": 2, "exposures": exposures})}
