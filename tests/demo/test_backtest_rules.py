"""What the backtest of rules prints, and its errors."""

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from rich.console import Console

from contracts.settings import Settings
from contracts.tables import TABLES
from demo.backtest_rules import about, as_json, by_rule, main, record, rows, table
from spark.jobs.backtest_rules import ANY_RULE, Backtest, BacktestError, RuleResult


def result(code: str, currency: str, alerts: int, caught: int, false: int) -> RuleResult:
    return RuleResult(
        rule_code=code,
        currency=currency,
        transaction_count=1_000,
        labelled_count=900,
        known_fraud_count=5,
        known_fraud_amount=Decimal("500.0000"),
        alert_count=alerts,
        alert_amount=Decimal("1234.5000") * alerts,
        true_positive_count=caught,
        false_positive_count=false,
        saved_amount=Decimal("100.0000") * caught,
    )


BACKTEST = Backtest(
    source_system="simulator",
    backtested_at=datetime(2025, 3, 1, tzinfo=UTC),
    first_event_date=date(2025, 1, 1),
    last_event_date=date(2025, 2, 20),
    rules_version=3,
    results=(
        result("HIGH_AMOUNT", "EUR", 4, 1, 2),
        result("HIGH_AMOUNT", "JPY", 2, 1, 0),
        result("CARD_TESTING", "EUR", 0, 0, 0),
        result("CARD_TESTING", "JPY", 0, 0, 0),
        result(ANY_RULE, "EUR", 4, 1, 2),
        result(ANY_RULE, "JPY", 2, 1, 0),
    ),
)


def test_precision_is_of_alerts_with_a_label_and_recall_of_known_frauds() -> None:
    high, testing, every = by_rule(BACKTEST)

    assert high["alert_count"] == 6
    assert high["alert_precision_ratio"] == 2 / 4
    assert high["alert_recall_ratio"] == 2 / 10
    assert high["saved_amount"] == {"EUR": Decimal(100), "JPY": Decimal(100)}
    assert testing["alert_precision_ratio"] is None
    assert testing["alert_recall_ratio"] == 0
    assert testing["alert_amount"] == {}
    assert every == {**high, "rule_code": ANY_RULE}


def test_the_table_has_ratios_and_the_money_of_each_currency() -> None:
    console = Console(file=io.StringIO(), width=150)
    console.print(about(BACKTEST), table(BACKTEST))
    file = console.file
    assert isinstance(file, io.StringIO)
    text = " ".join(file.getvalue().split())

    assert (
        "Version 3 of the rules on 2,000 payments of simulator, 2025-01-01 to 2025-02-20:"
        " 1,800 have a label, 10 of them fraud." in text
    )
    assert "HIGH_AMOUNT │ 6 │ 2 │ 0.500 │ 0.200 │ 4938.00 EUR │ 100.00 EUR" in text
    assert "2469 JPY │ 100 JPY" in text
    assert "CARD_TESTING │ 0 │ 0 │ - │ 0.000" in text


def test_json_has_exact_amounts() -> None:
    found = json.loads(as_json(BACKTEST))

    assert found["first_event_date"] == "2025-01-01"
    assert found["rules"][0]["alert_amount"] == {"EUR": "4938.0000", "JPY": "2469.0000"}
    assert found["rules"][1]["alert_precision_ratio"] is None


def test_a_row_has_the_columns_of_the_table() -> None:
    (first, *_) = recorded = rows(BACKTEST)

    assert len(recorded) == len(BACKTEST.results)
    assert set(first) == set(TABLES["staging.fraud_rule_backtests"].column_names)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Spark does not run: start the platform with `make up`."),
        (["--source", "nobody"], "nobody"),
        (["--window", "May"], "'May' is not a window: write one day as 2024-03-01"),
    ],
)
def test_what_cannot_run_is_a_clear_error(
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TOLLGATE_STATE_DIR", str(tmp_path))

    assert main(arguments) == 1

    message = capsys.readouterr().err
    assert sentence in message
    assert message.count("\n") == 1


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"passwords": {"loader": SecretStr("wrong")}}, "password authentication failed"),
        ({"database": "postgres"}, 'relation "staging.fraud_rule_backtests" does not exist'),
    ],
)
def test_a_backtest_that_postgres_refuses_is_a_clear_error(
    postgres: Settings, changes: dict[str, Any], reason: str
) -> None:
    settings = postgres.model_copy(
        update={"warehouse": postgres.warehouse.model_copy(update=changes)}
    )
    with pytest.raises(BacktestError) as refused:
        record(settings, BACKTEST)
    message = str(refused.value)
    assert message.startswith("Postgres refuses the backtest: ")
    assert reason in message
    assert "Run `make up`" in message
    assert "\n" not in message
