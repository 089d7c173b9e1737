"""The Power BI project against the contracts and against a warehouse that dbt built."""

import json
import re
from pathlib import Path

import psycopg
import pytest

from bi.to_powerbi import FOLDER, generated, relationships
from contracts.settings import Settings
from contracts.tables import zone

_REPO = Path(__file__).parents[2]
_DEFINITION = _REPO / FOLDER / "Tollgate.SemanticModel" / "definition"
_TYPES = {
    "string": {"text"},
    "int64": {"integer", "bigint", "smallint"},
    "double": {"double precision"},
    "decimal": {"numeric"},
    "boolean": {"boolean"},
    "dateTime": {"date", "timestamp with time zone"},
}


def _columns(table: str) -> dict[str, str]:
    """Return the columns that a table's file takes from the warehouse, with their types."""
    text = (_DEFINITION / "tables" / f"{table}.tmdl").read_text()
    # Hidden are the keys that the project makes for itself.
    return dict(
        re.findall(r"^\tcolumn (\w+)\n\t\tdataType: (\w+)\n(?!\t\tisHidden)", text, re.MULTILINE)
    )


def test_the_folder_has_exactly_the_generated_files() -> None:
    found = {path for path in (_REPO / FOLDER).rglob("*") if path.is_file()}
    assert found == {_REPO / path for path in generated()}


def test_every_json_file_is_valid_and_refers_to_existing_files() -> None:
    for path in generated():
        if path.suffix in {".pbip", ".pbir", ".pbism", ".pbids", ".json"}:
            json.loads((_REPO / path).read_text())
    project = json.loads((_REPO / FOLDER / "Tollgate.pbip").read_text())
    report = _REPO / FOLDER / project["artifacts"][0]["report"]["path"]
    pointer = json.loads((report / "definition.pbir").read_text())
    model = (report / pointer["datasetReference"]["byPath"]["path"]).resolve()
    assert model == _DEFINITION.parent


def test_no_file_has_a_login() -> None:
    for path in generated():
        assert not re.search(r"password|warehouse_reader", (_REPO / path).read_text()), path


def test_every_table_is_there_with_a_description_of_each_column() -> None:
    listed = re.findall(r"^ref table (\w+)$", (_DEFINITION / "model.tmdl").read_text(), re.M)
    assert listed == [table.short_name for table in zone("production")]
    for table in zone("production"):
        text = (_DEFINITION / "tables" / f"{table.short_name}.tmdl").read_text()
        assert text.startswith(f"/// One row per {table.grain}.\ntable {table.short_name}\n")
        for column in _columns(table.short_name):
            assert re.search(rf"^\t/// .+\n\tcolumn {column}$", text, re.M), column


def test_each_relationship_joins_columns_of_both_sides_and_each_fact_has_a_date() -> None:
    dated = set()
    for related in relationships():
        assert related.dimension.key == related.to_columns
        for side, key in ((related.table, related.key), (related.dimension, related.to_key)):
            text = (_DEFINITION / "tables" / f"{side.short_name}.tmdl").read_text()
            assert f"\tcolumn {key}\n" in text, (side.short_name, key)
        if related.dimension.short_name == "dim_dates":
            dated.add(related.table.name)
    assert {table.name for table in zone("production") if table.partition_by} <= dated


def test_measures_have_unique_names() -> None:
    files = sorted((_DEFINITION / "tables").glob("*.tmdl"))
    names = [
        name.strip("'").lower()
        for file in files
        for name in re.findall(r"^\tmeasure ('[^']+'|\w+) = ", file.read_text(), re.M)
    ]
    assert names
    assert len(set(names)) == len(names)


def test_model_metrics_use_unseen_dates() -> None:
    found = 0
    for file in (_DEFINITION / "tables").glob("*.tmdl"):
        text = file.read_text()
        if "\tcolumn is_unseen\n" in text:
            for measure in re.findall(r"^\tmeasure .+? = (.+)$", text, re.M):
                assert f"KEEPFILTERS('{file.stem}'[is_unseen] = TRUE())" in measure
                found += 1
    assert found


@pytest.mark.bi
def test_the_model_is_that_of_the_warehouse(production: Settings) -> None:
    with psycopg.connect(production.warehouse.dsn("reader")) as reader:
        rows = reader.execute(
            "select table_name, column_name, data_type from information_schema.columns"
            " where table_schema = 'production'"
        ).fetchall()
    built: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        if kind != "ARRAY":
            built.setdefault(table, {})[column] = kind
    assert built.keys() == {table.short_name for table in zone("production")}
    for table, columns in built.items():
        declared = _columns(table)
        assert declared.keys() == columns.keys(), table
        for name, kind in declared.items():
            assert columns[name] in _TYPES[kind], (table, name)
