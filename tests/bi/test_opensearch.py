"""The file that OpenSearch Dashboards imports refers to fields and objects that exist."""

import json

from bi.to_opensearch import generated
from contracts.settings import REPO

_TEMPLATE = json.loads((REPO / "streaming" / "opensearch" / "rejects.json").read_text())["template"]


def test_each_field_of_the_dashboard_is_in_the_index_template() -> None:
    (text,) = generated().values()
    objects = [json.loads(line) for line in text.splitlines()]
    types = {name: field["type"] for name, field in _TEMPLATE["mappings"]["properties"].items()}
    for item in objects:
        attributes = item["attributes"]
        if item["type"] == "index-pattern":
            assert attributes["title"] in _TEMPLATE["aliases"]
            assert types[attributes["timeFieldName"]] == "date"
            assert {field["name"] for field in json.loads(attributes["fields"])} <= set(types)
        elif item["type"] == "visualization":
            aggregations = json.loads(attributes["visState"])["aggs"]
            counted = [split["params"]["field"] for split in aggregations if split["params"]]
            assert len(counted) == 2
            assert {types[name] for name in counted} <= {"keyword", "date"}


def test_each_reference_of_the_dashboard_is_in_the_file() -> None:
    (text,) = generated().values()
    objects = {(item["type"], item["id"]): item for item in map(json.loads, text.splitlines())}
    assert len(objects) == len(text.splitlines())
    references = [one for item in objects.values() for one in item["references"]]
    assert {(one["type"], one["id"]) for one in references} <= set(objects)
    dashboard = objects["dashboard", "data-issues"]
    panels = [panel["panelRefName"] for panel in json.loads(dashboard["attributes"]["panelsJSON"])]
    assert panels == [one["name"] for one in dashboard["references"]]
