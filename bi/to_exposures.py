"""dbt exposures: the marts that each dashboard reads, for the lineage in the dbt docs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from bi.dashboards import DASHBOARDS
from bi.model import Dashboard
from bi.to_superset import HEADER, text
from contracts.settings import HOST, PORT_OFFSETS

_FILE: Final = Path("dbt_project/models/_exposures.yml")
_OWNERS: Final = {
    "fraud": {"name": "Fraud analytics", "email": "fraud@tollgate.example"},
    "platform": {"name": "Data platform", "email": "platform@tollgate.example"},
}
_PORT: Final = 15400 + PORT_OFFSETS["superset"]


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


def generated() -> dict[Path, str]:
    """Return the generated file, relative to the repository, with its content."""
    exposures = [_exposure(dashboard) for dashboard in DASHBOARDS]
    return {_FILE: HEADER + text({"version": 2, "exposures": exposures})}
