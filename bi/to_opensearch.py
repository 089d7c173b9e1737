"""The dashboard of rejects for OpenSearch Dashboards, as the file that it imports.

The file has an object a line: the index pattern, the charts, and the dashboard that shows them.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from contracts.settings import REPO

_FILE: Final = "streaming/opensearch/dashboard.ndjson"
_TEMPLATE: Final = "streaming/opensearch/rejects.json"
_TIME: Final = "arrived_at"
_TYPES: Final = {"keyword": "string", "text": "string", "date": "date", "long": "number"}
"""Types of Dashboards by types of OpenSearch; a flattened object is no field of a chart."""
_SOURCE: Final = "kibanaSavedObjectMeta"
_INDEX: Final = f"{_SOURCE}.searchSourceJSON.index"
_COUNT: Final = {"id": "1", "enabled": True, "type": "count", "schema": "metric", "params": {}}
_HISTOGRAM: Final = {
    "type": "histogram",
    "grid": {"categoryLines": False},
    "categoryAxes": [
        {
            "id": "CategoryAxis-1",
            "type": "category",
            "position": "bottom",
            "show": True,
            "style": {},
            "scale": {"type": "linear"},
            "labels": {"show": True, "filter": True, "truncate": 100},
            "title": {},
        }
    ],
    "valueAxes": [
        {
            "id": "ValueAxis-1",
            "name": "LeftAxis-1",
            "type": "value",
            "position": "left",
            "show": True,
            "style": {},
            "scale": {"type": "linear", "mode": "normal"},
            "labels": {"show": True, "rotate": 0, "filter": False, "truncate": 100},
            "title": {"text": "Rejects"},
        }
    ],
    "seriesParams": [
        {
            "show": True,
            "type": "histogram",
            "mode": "stacked",
            "data": {"label": "Rejects", "id": "1"},
            "valueAxis": "ValueAxis-1",
        }
    ],
    "addTooltip": True,
    "addLegend": True,
    "legendPosition": "right",
    "times": [],
    "addTimeMarker": False,
    "labels": {"show": False},
    "thresholdLine": {"show": False},
}
_TABLE: Final = {
    "perPage": 20,
    "showPartialRows": False,
    "showMetricsAtAllLevels": False,
    "sort": {"columnIndex": None, "direction": None},
    "showTotal": True,
    "totalFunc": "sum",
    "percentageCol": "",
}
_CHARTS: Final[Mapping[str, tuple[str, Mapping[str, Any], tuple[str, ...]]]] = {
    "Rejects over time, by reason": ("histogram", _HISTOGRAM, (_TIME, "reasons")),
    "Rejects by reason and field": ("table", _TABLE, ("reasons", "field")),
    "Rejects by source": ("table", _TABLE, ("source_system", "reasons")),
}
"""Charts by title: kind, look, and the fields by which it counts."""


def generated() -> dict[str, str]:
    """Return the text of the file by its path."""
    charts = [_chart(title, *chart) for title, chart in _CHARTS.items()]
    objects = [_index_pattern(), *charts, _dashboard(charts)]
    return {_FILE: "".join(f"{json.dumps(item, sort_keys=True)}\n" for item in objects)}


def _index_pattern() -> dict[str, Any]:
    template = json.loads((REPO / _TEMPLATE).read_text())["template"]
    fields = [
        {
            "name": name,
            "type": _TYPES[field["type"]],
            "esTypes": [field["type"]],
            "searchable": True,
            "aggregatable": field["type"] != "text",
            "readFromDocValues": field["type"] != "text",
            "scripted": False,
            "count": 0,
        }
        for name, field in template["mappings"]["properties"].items()
        if field["type"] in _TYPES
    ]
    (alias,) = template["aliases"]
    attributes = {"title": alias, "timeFieldName": _TIME, "fields": json.dumps(fields)}
    return {"type": "index-pattern", "id": "rejects", "attributes": attributes, "references": []}


def _chart(
    title: str, kind: str, look: Mapping[str, Any], fields: tuple[str, ...]
) -> dict[str, Any]:
    schemas = ("segment", "group") if kind == "histogram" else ("bucket", "bucket")
    splits = [
        _split(str(number), schema, field)
        for number, (schema, field) in enumerate(zip(schemas, fields, strict=True), start=2)
    ]
    state = {"title": title, "type": kind, "aggs": [_COUNT, *splits], "params": look}
    return {
        "type": "visualization",
        "id": "-".join(title.lower().replace(",", "").split()),
        "attributes": {
            "title": title,
            "description": "",
            "version": 1,
            "visState": json.dumps(state),
            "uiStateJSON": "{}",
            _SOURCE: _search({"indexRefName": _INDEX}),
        },
        "references": [{"name": _INDEX, "type": "index-pattern", "id": "rejects"}],
    }


def _split(number: str, schema: str, field: str) -> dict[str, Any]:
    """Return a division of the count by a field."""
    if field == _TIME:
        kind, params = "date_histogram", {"interval": "auto", "min_doc_count": 1}
    else:
        kind, params = "terms", {"orderBy": "1", "order": "desc", "size": 30}
    params = {"field": field, **params}
    return {"id": number, "enabled": True, "type": kind, "schema": schema, "params": params}


def _search(more: Mapping[str, Any]) -> dict[str, str]:
    query = {"query": {"query": "", "language": "kuery"}, "filter": [], **more}
    return {"searchSourceJSON": json.dumps(query)}


def _dashboard(charts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the dashboard: the first chart over the whole width, the others below."""
    panels = [
        {
            "gridData": {
                "x": 0 if number == 0 else 24 * ((number - 1) % 2),
                "y": 15 * ((number + 1) // 2),
                "w": 48 if number == 0 else 24,
                "h": 15,
                "i": str(number),
            },
            "panelIndex": str(number),
            "embeddableConfig": {},
            "panelRefName": f"panel_{number}",
        }
        for number, _ in enumerate(charts)
    ]
    return {
        "type": "dashboard",
        "id": "data-issues",
        "attributes": {
            "title": "Data issues",
            "description": "Rejected messages over time, by reason and by source.",
            "version": 1,
            "hits": 0,
            "panelsJSON": json.dumps(panels),
            "optionsJSON": json.dumps({"useMargins": True, "hidePanelTitles": False}),
            "timeRestore": True,
            "timeFrom": "now-30d",
            "timeTo": "now",
            _SOURCE: _search({}),
        },
        "references": [
            {"name": f"panel_{number}", "type": "visualization", "id": chart["id"]}
            for number, chart in enumerate(charts)
        ],
    }
