"""What the files of the dashboards promise, without a service."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bi.dashboards import DASHBOARDS
from bi.model import COLUMNS, Dataset
from bi.to_superset import FOLDER, files
from contracts.columns import COLUMNS as DECLARED
from contracts.columns import LogicalType
from contracts.tables import TABLES
from embedded import places

_REPO = Path(__file__).parents[2]


def _datasets() -> dict[str, Dataset]:
    charts = [chart for dashboard in DASHBOARDS for chart in dashboard.charts]
    return {chart.dataset.table: chart.dataset for chart in charts}


def test_the_folder_has_exactly_the_declared_files() -> None:
    folders = ("databases", "datasets", "charts", "dashboards")
    found = {path for name in folders for path in (_REPO / FOLDER / name).rglob("*.yaml")}
    assert found == {_REPO / path for path in files()}


def test_no_file_has_a_password_or_computes_a_metric_of_a_model() -> None:
    for path, content in files().items():
        text = (_REPO / path).read_text()
        assert "sql" not in content, path
        assert not re.search(r"password", text, re.IGNORECASE), path
        assert re.findall(r"://\w+:(\w+)@", text) in ([], ["XXXXXXXXXX"]), path


def test_datasets_are_tables_of_production_whose_columns_exist() -> None:
    for dataset in _datasets().values():
        columns = TABLES[f"production.{dataset.table}"].column_names
        assert dataset.date in columns, dataset.table
        for metric in dataset.metrics:
            assert set(metric.columns) <= set(columns), (dataset.table, metric.name)


def _columns_used(params: dict[str, Any]) -> set[str]:
    used = {params.get("x_axis"), *params.get("all_columns", [])}
    by = params.get("groupby", [])
    used |= set([by] if isinstance(by, str) else by)
    return {name for name in used if name}


def test_charts_use_columns_and_figures_that_exist_and_fill_their_rows() -> None:
    for dashboard in DASHBOARDS:
        names = [chart.name for chart in dashboard.charts]
        assert len(set(names)) == len(names), dashboard.name
        for row in dashboard.rows:
            assert sum(chart.width for chart in row) == COLUMNS, dashboard.name
        for chart in dashboard.charts:
            table = TABLES[f"production.{chart.dataset.table}"]
            assert _columns_used(chart.params) <= set(table.column_names), chart.title
            asked = {*chart.params.get("metrics", []), chart.params.get("metric")} - {None}
            assert asked <= {metric.name for metric in chart.dataset.metrics}, chart.title


def test_lists_of_rows_round_no_amount_and_show_its_currency() -> None:
    lists = [c for d in DASHBOARDS for c in d.charts if c.params.get("query_mode") == "raw"]
    amounts = {}
    for chart in lists:
        columns = chart.params["all_columns"]
        for name in columns:
            if DECLARED[name].type is LogicalType.MONEY:
                assert "currency" in columns, chart.title
                amounts[chart.name, name] = chart.params["column_config"][name]["d3NumberFormat"]
    # Four decimals as stored: 1.234 KWD, 12.5 EUR and 500 JPY, without zeros at the end.
    names = {
        ("latest_alerts", "amount"),
        *(("rule_backtests", f"{name}_amount") for name in ("alert", "saved", "missed")),
    }
    assert amounts == dict.fromkeys(names, ",.4~f")


def test_model_metrics_use_unseen_dates() -> None:
    for dashboard in DASHBOARDS:
        for chart in dashboard.charts:
            columns = TABLES[f"production.{chart.dataset.table}"].column_names
            conditions = [f.get("sqlExpression") for f in chart.params["adhoc_filters"]]
            says_which = "is_unseen" in chart.params.get("groupby", [])
            assert ("is_unseen" in conditions) == ("is_unseen" in columns and not says_which)


def test_a_filter_excludes_the_charts_that_lack_its_column() -> None:
    for dashboard in DASHBOARDS:
        content = yaml.safe_load(
            (_REPO / FOLDER / "dashboards" / f"{dashboard.name}.yaml").read_text()
        )
        for chosen in content["metadata"]["native_filter_configuration"]:
            left = set(chosen["scope"]["excluded"])
            column = chosen["targets"][0].get("column", {}).get("name")
            for number, chart in enumerate(dashboard.charts, 1):
                has = column in TABLES[f"production.{chart.dataset.table}"].column_names
                assert (number in left) == (column is not None and not has)


def test_a_superset_that_is_not_installed_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(places, "SUPERSET_VENV", tmp_path)
    with pytest.raises(FileNotFoundError, match="run `make bi`"):
        places.superset_bin()
