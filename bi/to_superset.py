"""Superset's files from the declared dashboards, written by ``make contracts``."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, Final

import yaml

from bi.dashboards import DASHBOARDS
from bi.model import COLUMNS, Chart, Dashboard, Dataset, Filter
from contracts.columns import LogicalType
from contracts.render.to_postgres import TYPES
from contracts.tables import TABLES

FOLDER: Final = Path("bi/superset")
DATABASE_FILE: Final = FOLDER / "databases" / "tollgate_warehouse.yaml"
HEADER: Final = "# generated from bi/ and contracts/ by `make contracts`: do not edit\n"
MASK: Final = "XXXXXXXXXX"
"""Superset's placeholder for a password that is not in the files."""
_VERSION: Final = "1.0.0"
_NAMESPACE: Final = uuid.UUID("6f0b4a52-51f5-4c8e-8f6e-0a8c5f1d2e11")
_TIMES: Final = (LogicalType.DATE, LogicalType.TIMESTAMP)


def fixed_uuid(kind: str, name: str) -> str:
    """Return an identifier that is the same on every machine."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}/{name}"))


def words(column: str) -> str:
    """Return the display name of a column."""
    return column.replace("_", " ").capitalize()


def _database() -> dict[str, Any]:
    # Host, port and password are put in when the files are imported; see bi/publish.py.
    return {
        "database_name": "Tollgate warehouse",
        "sqlalchemy_uri": f"postgresql+psycopg2://warehouse_reader:{MASK}@127.0.0.1/warehouse",
        "cache_timeout": -1,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_csv_upload": False,
        "extra": {
            "engine_params": {
                "connect_args": {
                    "connect_timeout": 5,
                    "options": "-c default_transaction_read_only=on -c statement_timeout=30s",
                }
            },
            "metadata_params": {},
            "metadata_cache_timeout": {},
            "schemas_allowed_for_csv_upload": [],
        },
        "uuid": fixed_uuid("database", "warehouse"),
        "is_managed_externally": True,
        "version": _VERSION,
    }


def _dataset(dataset: Dataset) -> dict[str, Any]:
    table = TABLES[f"production.{dataset.table}"]
    return {
        "table_name": dataset.table,
        "schema": "production",
        "description": f"{dataset.title}. One row per {table.grain}.",
        "main_dttm_col": dataset.date,
        "cache_timeout": -1,
        "filter_select_enabled": True,
        "uuid": fixed_uuid("dataset", dataset.table),
        "is_managed_externally": True,
        "metrics": [
            {
                "metric_name": metric.name,
                "verbose_name": metric.title,
                "expression": metric.sql,
                "d3format": metric.format,
            }
            for metric in dataset.metrics
        ],
        "columns": [
            {
                "column_name": column.name,
                "verbose_name": words(column.name),
                "description": column.description,
                "type": TYPES[column.type].upper(),
                "is_dttm": column.type in _TIMES,
                "groupby": True,
                "filterable": True,
            }
            for column in table.columns
        ],
        "database_uuid": fixed_uuid("database", "warehouse"),
        "version": _VERSION,
    }


def _chart_uuid(dashboard: Dashboard, chart: Chart) -> str:
    return fixed_uuid("chart", f"{dashboard.name}/{chart.name}")


def _chart(dashboard: Dashboard, chart: Chart) -> dict[str, Any]:
    return {
        "slice_name": chart.title,
        "description": chart.description,
        "viz_type": chart.kind,
        "params": {"viz_type": chart.kind, **chart.params},
        "cache_timeout": -1,
        "uuid": _chart_uuid(dashboard, chart),
        "dataset_uuid": fixed_uuid("dataset", chart.dataset.table),
        "is_managed_externally": True,
        "version": _VERSION,
    }


def _has(dataset: Dataset, column: str) -> bool:
    return column in TABLES[f"production.{dataset.table}"].column_names


def _filter(dashboard: Dashboard, chosen: Filter) -> dict[str, Any]:
    """Return a filter for the charts whose dataset has its column."""
    column = chosen.column
    target: dict[str, Any] = {}
    if column is not None and chosen.dataset is not None:
        target = {
            "column": {"name": column},
            "datasetUuid": fixed_uuid("dataset", chosen.dataset.table),
        }
    return {
        "id": "NATIVE_FILTER-" + (column or "dates"),
        "name": chosen.title,
        "filterType": "filter_time" if column is None else "filter_select",
        "type": "NATIVE_FILTER",
        "targets": [target],
        "defaultDataMask": {"extraFormData": {}, "filterState": {}},
        "cascadeParentIds": [],
        "scope": {
            "rootPath": ["ROOT_ID"],
            "excluded": [
                number
                for number, chart in enumerate(dashboard.charts, 1)
                if column is not None and not _has(chart.dataset, column)
            ],
        },
        "controlValues": {
            "multiSelect": not chosen.single,
            "enableEmptyFilter": chosen.single,
            "defaultToFirstItem": chosen.single,
            "searchAllOptions": False,
            "inverseSelection": False,
        },
        "description": "",
    }


def _position(dashboard: Dashboard) -> dict[str, Any]:
    grid: list[str] = []
    parts: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": grid, "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": dashboard.title}},
    }
    number = 0
    for index, row in enumerate(dashboard.rows, 1):
        if sum(chart.width for chart in row) != COLUMNS:
            raise ValueError(f"row {index} of {dashboard.name} is not {COLUMNS} wide")
        row_id = f"ROW-{index}"
        grid.append(row_id)
        parents = ["ROOT_ID", "GRID_ID"]
        ids = [f"CHART-{chart.name}" for chart in row]
        parts[row_id] = {
            "type": "ROW",
            "id": row_id,
            "children": ids,
            "parents": parents,
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for chart_id, chart in zip(ids, row, strict=True):
            number += 1
            parts[chart_id] = {
                "type": "CHART",
                "id": chart_id,
                "children": [],
                "parents": [*parents, row_id],
                "meta": {
                    "chartId": number,
                    "uuid": _chart_uuid(dashboard, chart),
                    "sliceName": chart.title,
                    "width": chart.width,
                    "height": chart.height,
                },
            }
    return parts


def _dashboard(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "dashboard_title": dashboard.title,
        "description": dashboard.question,
        "slug": dashboard.slug,
        "published": True,
        "uuid": fixed_uuid("dashboard", dashboard.name),
        "is_managed_externally": True,
        "position": _position(dashboard),
        "metadata": {
            "color_scheme": "supersetColors",
            "cross_filters_enabled": False,
            "refresh_frequency": 0,
            "native_filter_configuration": [
                _filter(dashboard, chosen) for chosen in dashboard.filters
            ],
        },
        "version": _VERSION,
    }


def files() -> dict[Path, dict[str, Any]]:
    """Return the content of each file by its path in the repository."""
    contents = {DATABASE_FILE: _database()}
    for dashboard in DASHBOARDS:
        contents[FOLDER / "dashboards" / f"{dashboard.name}.yaml"] = _dashboard(dashboard)
        for chart in dashboard.charts:
            table = chart.dataset.table
            contents[FOLDER / "datasets" / "tollgate_warehouse" / f"{table}.yaml"] = _dataset(
                chart.dataset
            )
            name = f"{dashboard.name}__{chart.name}.yaml"
            contents[FOLDER / "charts" / name] = _chart(dashboard, chart)
    return contents


def text(content: dict[str, Any]) -> str:
    """Return a file's text."""
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100))


def generated() -> dict[Path, str]:
    """Return every generated file, relative to the repository, with its content."""
    return {path: HEADER + text(content) for path, content in sorted(files().items())}
