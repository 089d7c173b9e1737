"""The suites: every rule can be built, has a unique name, and gives the reason of its number."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from contracts.render.to_gx import Rule, base_rules, is_private, to_expectation
from contracts.tables import TABLES
from expectations.checkpoint import Batch
from expectations.suites import comparisons, days, production, profiles, raw, scores
from expectations.suites.tables import SUITES
from sources.handbook import HANDBOOK
from sources.ranges import Ranges
from sources.sparkov import SPARKOV


def _of_tables() -> list[tuple[str, tuple[Rule, ...]]]:
    return [
        (name, SUITES[table.short_name](table))
        for name, table in TABLES.items()
        if table.short_name in SUITES
    ]


OTHERS = [
    ("raw", raw.object_rules()),
    ("raw", raw.day_rules()),
    ("raw", raw.manifest_rules()),
    ("processed", days.processed_rules(SPARKOV, True)),
    ("processed", days.processed_rules(HANDBOOK, False)),
    ("processed", days.window_rules(SPARKOV)),
    ("processed", days.delivery_rules(SPARKOV)),
    ("processed", days.month_rules(SPARKOV)),
    ("processed", profiles.band_rules((*profiles.BANDS, profiles.null_band("country")), True)),
    ("processed", profiles.shape_rules(profiles.SHAPES, False)),
    ("sandbox", days.sandbox_rules(True)),
    ("processed", comparisons.balance_rules(Ranges())),
    ("staging", comparisons.agreement_rules(("rows", "amount"), True)),
    ("sandbox", comparisons.run_rules()),
    ("production", production.orphan_rules()),
    ("production", production.stray_rules()),
    ("production", production.report_rules(True)),
    ("scores", scores.batch_rules(Ranges(), True)),
]


@pytest.mark.parametrize(("table", "rules"), [*_of_tables(), *OTHERS])
def test_each_rule_is_an_expectation_with_a_name_and_a_reason(
    table: str, rules: tuple[Rule, ...]
) -> None:
    named = Batch(table, None, rules).named_rules
    assert len(named) == len(rules)
    for name, rule in named.items():
        assert rule.reason
        assert rule.expected
        assert to_expectation(rule, name, "pandas").severity == rule.severity


@pytest.mark.parametrize("name", [n for n in TABLES if n.split(".")[0] != "production"])
def test_the_declaration_gives_columns_nulls_and_key(name: str) -> None:
    rules = base_rules(TABLES[name])
    required = {c for c in TABLES[name].column_names if not TABLES[name].is_nullable(c)}
    assert {rule.column for rule in rules if rule.what == "not_null"} == required
    assert {"columns", "key_unique"} <= {rule.what for rule in rules}


def test_columns_that_a_source_always_fills_are_required_of_it_only() -> None:
    assert "merchant_category" in days.filled_columns(SPARKOV)
    assert "merchant_category" not in days.filled_columns(HANDBOOK)
    assert "counterparty_id" in days.filled_columns(HANDBOOK)
    assert "customer_id" not in days.filled_columns(HANDBOOK), "declared not nullable"


def test_only_a_daily_delivery_must_match_the_dates_of_its_window() -> None:
    whole = replace(SPARKOV, delivers="whole")
    assert {rule.column for rule in days.delivery_rules(SPARKOV)} >= {"late_share", "early_share"}
    assert {rule.column for rule in days.delivery_rules(whole)} == {"repeated_share"}


def test_a_rule_on_a_column_about_a_person_never_quotes() -> None:
    for _, rules in _of_tables():
        assert all(rule.private for rule in rules if rule.column and is_private(rule.column))


def test_importing_the_suites_imports_no_engine(
    run_python: Callable[[str], str],
) -> None:
    code = (
        "import sys, expectations.gates, expectations.docs\n"
        "print(sorted({'great_expectations', 'pandas', 'pyspark', 'psycopg'} & set(sys.modules)))"
    )
    assert run_python(code) == "[]"


def test_small_frames_of_two_stores_count_a_missing_group_as_zero() -> None:
    from expectations.comparison import side_by_side

    before = pd.DataFrame({"day": [1, 2], "rows": [10, 20]}, dtype=object)
    after = pd.DataFrame({"day": [1, 3], "rows": [10, 30]}, dtype=object)
    both = side_by_side(before, after, ["day"], ["rows"]).sort_values("day")
    assert both[["day", "rows", "rows_before"]].to_numpy().tolist() == [
        [1, 10, 10],
        [2, 0, 20],
        [3, 30, 0],
    ]
