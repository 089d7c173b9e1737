"""The dbt project keeps its conventions, and its generated parts are fresh."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.render.to_dbt import generated
from contracts.tables import TABLES, zone

_REPO = Path(__file__).parents[2]
_MODELS = _REPO / "dbt_project" / "models"
_SQL = {path.stem: path for path in _MODELS.rglob("*.sql")}
_MARTS = {path.stem: path for path in (_MODELS / "marts").rglob("*.sql")}


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


@pytest.mark.parametrize("model", sorted(_MARTS))
def test_a_mart_ends_as_every_mart_ends(model: str) -> None:
    assert _MARTS[model].read_text().endswith("\n)\n\nselect * from final\n")


@pytest.mark.parametrize("model", sorted(m for m in _MARTS if m.startswith(("fct_", "rpt_"))))
def test_a_fact_and_a_report_reconcile_with_what_they_are_made_of(model: str) -> None:
    assert any("reconciles" in test for test in _model(model)["data_tests"])


@pytest.mark.parametrize("model", sorted(_MARTS))
def test_what_decides_money_or_fraud_has_a_unit_test(model: str) -> None:
    decides = re.search(r"\bcase\b|known_labels\(", _MARTS[model].read_text())
    assert bool(_declared(model).get("unit_tests")) is bool(decides)


def test_only_the_parties_are_rebuilt_whole() -> None:
    # A whole table costs the same every day only when it does not grow with payments.
    whole = {name for name, path in _MARTS.items() if '"slice": "source"' in path.read_text()}
    assert whole == {"dim_customers", "dim_merchants"}


def test_the_dashboards_to_come_are_exposed() -> None:
    exposures = yaml.safe_load((_MODELS / "_exposures.yml").read_text())["exposures"]
    assert {e["name"] for e in exposures} == {
        "fraud_overview",
        "pattern_analysis",
        "model_performance",
        "feature_insights",
        "data_quality",
        "platform_health",
    }
    for exposure in exposures:
        assert exposure["type"] == "dashboard"
        assert exposure["owner"]["email"]
        used = {re.findall(r"'(\w+)'", ref)[0] for ref in exposure["depends_on"]}
        assert used <= set(_MARTS)
