"""The dbt project keeps its conventions, and its generated parts are fresh."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.render.to_dbt import generated, source_of
from contracts.tables import TABLES, zone
from sources.currencies import ISO_4217

_REPO = Path(__file__).parents[2]
_MODELS = _REPO / "dbt_project" / "models"
_SQL = {path.stem: path for path in _MODELS.rglob("*.sql")}
_STAGING = {path.stem: path for path in (_MODELS / "staging").rglob("*.sql")}
_MARTS = {path.stem: path for path in (_MODELS / "marts").rglob("*.sql")}
_COUNTED = {
    ("dim_customers", "customers"): "fct_transactions_refers_to_dim_customers",
    ("dim_merchants", "merchants"): "fct_transactions_refers_to_dim_merchants",
    ("rpt_data_quality", "by_date"): "rpt_data_quality_reconciles_with_fct_quarantined_records",
    ("rpt_fraud_delays", "first_fraud_labels"): "rpt_fraud_delays_reconciles_with_rpt_fraud_daily",
    ("rpt_fraud_rolling", "ends"): "rpt_fraud_rolling_reconciles_with_rpt_fraud_daily",
    (
        "rpt_maturity_backtest",
        "delays_of_dates",
    ): "rpt_maturity_backtest_reconciles_with_rpt_fraud_delays",
    (
        "rpt_feature_insights",
        "performance",
    ): "rpt_feature_insights_reconciles_with_fct_fraud_alerts",
}
"""Each inner join of a mart, and the data test that counts what it would drop."""


def _declared(model: str) -> dict[str, Any]:
    text = _SQL[model].with_suffix(".yml").read_text()
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


def _model(model: str) -> dict[str, Any]:
    (declared,) = _declared(model)["models"]
    assert declared["name"] == model
    return dict(declared)


@pytest.mark.parametrize("path", sorted(generated(_REPO)), ids=str)
def test_what_is_generated_is_fresh(path: Path) -> None:
    assert (_REPO / path).read_text() == generated(_REPO)[path], "run `make contracts`"


def test_every_mart_is_declared_and_built() -> None:
    assert set(_MARTS) == {table.short_name for table in zone("production")}


@pytest.mark.parametrize("model", sorted(_SQL))
def test_a_model_has_one_sql_file_one_yaml_and_says_its_grain(model: str) -> None:
    assert _model(model)["description"].startswith("One row per ")


@pytest.mark.parametrize("model", sorted(_MARTS))
def test_a_mart_says_the_grain_of_its_contract(model: str) -> None:
    table = TABLES[f"production.{model}"]
    assert _model(model)["description"].startswith(f"One row per {table.grain}.")


@pytest.mark.parametrize("model", sorted(_SQL))
def test_sources_are_read_by_staging_alone(model: str) -> None:
    in_staging = _SQL[model].parent.name == "staging"
    assert ("source(" in _SQL[model].read_text()) is in_staging
    assert model.startswith("stg_") is in_staging
    assert model.startswith("int_") is (_SQL[model].parent.name == "intermediate")


@pytest.mark.parametrize("model", sorted(_STAGING))
def test_a_staging_model_names_every_column_of_its_source(model: str) -> None:
    named, _, _ = _SQL[model].read_text().partition("\nfrom ")
    columns = [line.strip(" ,") for line in named.splitlines()[1:]]
    assert columns == list(source_of(_SQL[model]).column_names)


@pytest.mark.parametrize("model", sorted(_MARTS))
def test_a_mart_ends_as_every_mart_ends(model: str) -> None:
    assert _MARTS[model].read_text().endswith("\n)\n\nselect * from final\n")


@pytest.mark.parametrize("model", sorted(m for m in _MARTS if m.startswith(("fct_", "rpt_"))))
def test_a_fact_and_a_report_reconcile_with_what_they_are_made_of(model: str) -> None:
    assert any("reconciles" in test for test in _model(model)["data_tests"])


@pytest.mark.parametrize("model", sorted(set(_SQL) - set(_STAGING)))
def test_what_decides_money_or_fraud_has_a_unit_test(model: str) -> None:
    if re.search(r"\bcase\b|expected_frauds\(", _SQL[model].read_text()):
        assert _declared(model).get("unit_tests")


def test_no_inner_join_drops_a_row_uncounted() -> None:
    joins = {
        (model, joined)
        for model, path in _MARTS.items()
        for joined in re.findall(
            r"^\s+(?:inner |right |cross |)join\s+(\w+)", path.read_text(), re.MULTILINE
        )
        if f"cross join {joined}" not in path.read_text()
    }
    assert joins == set(_COUNTED)
    tests = {
        next(iter(test.values()))["name"]
        for model in _MARTS
        for test in _model(model).get("data_tests", [])
    }
    assert set(_COUNTED.values()) <= tests


def test_the_currencies_are_those_that_sources_accept() -> None:
    with (_MODELS.parent / "seeds" / "iso_currencies.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["currency"] for row in rows} == ISO_4217
    assert len(rows) == len(ISO_4217)
    assert all(re.fullmatch(r"\d{3}", row["numeric_code"]) for row in rows)
    digits = {row["currency"]: row["minor_unit_digits"] for row in rows}
    known = {"JPY": "0", "EUR": "2", "BHD": "3", "XXX": ""}
    assert {code: digits[code] for code in known} == known


def _strategies() -> dict[str, str]:
    """Return the incremental strategy of each mart."""
    return {
        name: re.findall(r'incremental_strategy="([\w+]+)"', path.read_text())[0]
        for name, path in _MARTS.items()
    }


def test_only_what_hardly_grows_with_payments_is_compared_whole() -> None:
    # Such a table costs the same every day only so.
    refused = {"fct_quarantined_records", "rpt_data_quality"}
    dimensions = {"dim_customers", "dim_merchants", "dim_dates", "dim_currencies", "dim_models"}
    others = {"rpt_fraud_maturity", "rpt_platform_health", "rpt_window_stages"}
    compared = {name for name, kind in _strategies().items() if kind == "replace_changed"}
    assert compared == refused | dimensions | others | {
        "rpt_fraud_rule_backtests",
        "rpt_decision_replay",
    }


def test_every_kind_of_slice_is_described() -> None:
    described = re.findall(r"^\*\*`([\w+]+)`\*\*: ", (_REPO / "docs/dbt.md").read_text(), re.M)
    assert len(described) <= 5
    conditions = {
        condition
        for name, kind in _strategies().items()
        if kind == "replace_where"
        for condition in re.findall(
            r'incremental_predicates=\[\s*"{{ (\w+)\(', _MARTS[name].read_text()
        )
    }
    # Both are described with the condition that they start from.
    conditions -= {"in_window_or_renewed", "back_tested"}
    assert set(described) == conditions | set(_strategies().values()) - {"replace_where"}


def test_the_dashboards_and_the_api_are_exposed() -> None:
    exposures = yaml.safe_load((_MODELS / "_exposures.yml").read_text())["exposures"]
    assert {e["name"] for e in exposures} == {
        "fraud_overview",
        "pattern_analysis",
        "model_performance",
        "feature_insights",
        "data_quality",
        "platform_health",
        "decision_api",
    }
    for exposure in exposures:
        is_api = exposure["name"] == "decision_api"
        assert exposure["type"] == ("application" if is_api else "dashboard")
        assert exposure["owner"]["email"]
        used = {re.findall(r"'(\w+)'", ref)[0] for ref in exposure["depends_on"]}
        assert used <= set(_MARTS)
