"""Evaluating a batch: what closes a gate, what is reported, and what is stored."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from contracts.render.to_gx import WARNING, Rule, base_rules, between, equal, matches, not_empty
from contracts.results import GateFailed, GateResult
from contracts.stages import Gate
from contracts.tables import TABLES
from contracts.windows import Window
from expectations.checkpoint import Batch
from expectations.docs import update_data_docs
from expectations.run import evaluate

FRAME = pd.DataFrame(
    {
        "event_id": ["a", "b", "c"],
        "hour_of_day": [1, 22, 23],
        "customer_id": ["4779476602844521552", "b" * 32, "c" * 32],
        "rows": [5, 6, 7],
        "rows_before": [5, 6, 7],
    }
)
TOKENS = matches("customer_id", "^[0-9a-f]{32}$", "a token", "a raw identifier is none")
HOURS = between("hour_of_day", 0, 23, "a day has 24 hours")
LATE = between("hour_of_day", 0, 20, "shops close", WARNING, "plausible")


def _batch(*rules: Rule, frame: pd.DataFrame = FRAME) -> Batch:
    return Batch("processed.transactions", frame, rules, ("event_id",))


def _evaluate(tmp_path: Path, *batches: Batch, run_id: str = "run_1") -> GateResult:
    return evaluate(Gate.PROCESSED, Window.parse("sparkov@2024-05-01"), run_id, batches, tmp_path)


def test_a_passing_batch_opens_the_gate(tmp_path: Path) -> None:
    result = _evaluate(tmp_path, _batch(HOURS, not_empty()))
    assert result.passed
    result.require()
    assert [check.observed for check in result.checks] == ["as expected", "as expected"]


def test_a_gate_that_ran_no_check_stays_closed(tmp_path: Path) -> None:
    with pytest.raises(GateFailed, match="it ran no check"):
        _evaluate(tmp_path).require()


def test_a_warning_is_reported_but_does_not_close_the_gate(tmp_path: Path) -> None:
    result = _evaluate(tmp_path, _batch(HOURS, LATE))
    assert result.passed
    (warned,) = [check for check in result.checks if not check.passed]
    assert warned.severity == "warning"
    assert warned.observed == (
        "2 of 3 rows, such as event_id=b hour_of_day=22, event_id=c hour_of_day=23"
    )
    assert warned.reason == "shops close"


def test_a_closed_gate_reports_the_observed_value_its_place_and_the_reason(tmp_path: Path) -> None:
    broken = FRAME.assign(rows=[5, 0, 7])
    result = _evaluate(tmp_path, _batch(equal("rows", "rows_before", "same"), frame=broken))
    with pytest.raises(GateFailed) as failed:
        result.require()
    assert "gate processed closed on window sparkov@2024-05-01" in str(failed.value)
    assert "transactions.rows.equals_rows_before" in str(failed.value)
    assert "1 of 3 rows, such as event_id=b rows=0 rows_before=6" in str(failed.value)
    assert str(tmp_path) in str(failed.value)


def test_observed_values_have_column_names_and_shares_are_percentages(
    tmp_path: Path,
) -> None:
    """Without a label, Great Expectations would give the positions of the rows: 0."""
    share = between("late_share", 0, 0.05, "late", what="late")
    pair = equal("rows", "rows_before", "same")
    one = pd.DataFrame({"late_share": [0.1512], "rows": [4], "rows_before": [5]})
    result = _evaluate(tmp_path, Batch("processed.transactions", one, (share, pair)))
    assert [(check.observed, check.expected) for check in result.checks] == [
        ("late_share=15.1 %", "at least 0 % and at most 5 %"),
        ("rows=4 rows_before=5", "equal to rows_before"),
    ]
    two = pd.concat([one, one])
    result = _evaluate(tmp_path, Batch("processed.transactions", two, (share,)))
    assert result.checks[0].observed == "2 of 2 rows, such as late_share=15.1 %, late_share=15.1 %"


def test_a_sentence_replaces_the_observed_value_and_comes_first(tmp_path: Path) -> None:
    frame = FRAME.assign(rows=[5, 0, 7])
    batch = Batch(
        "processed.transactions",
        frame,
        (equal("rows", "rows_before", "same"), HOURS),
        sentences={"between": "15.0 % of 200 rows refused, limit 5 %"},
    )
    result = _evaluate(tmp_path, replace(batch, data=frame.assign(hour_of_day=99)))
    with pytest.raises(GateFailed) as failed:
        result.require()
    said = str(failed.value).partition(": ")[2]
    assert said.startswith(
        "transactions.hour_of_day.between on processed.transactions:"
        " 15.0 % of 200 rows refused, limit 5 %; transactions.rows.equals_rows_before"
    )


def test_a_raw_identifier_closes_the_gate_and_is_never_quoted(tmp_path: Path) -> None:
    result = _evaluate(tmp_path, _batch(TOKENS))
    assert not result.passed
    assert result.checks[0].observed == "1 of 3 rows"
    update_data_docs(tmp_path)
    kept = [file for file in tmp_path.rglob("*") if file.suffix in (".json", ".html")]
    assert {file.name for file in kept} >= {
        "sparkov@2024-05-01.json",
        "sparkov@2024-05-01.html",
        "index.html",
    }
    assert not [file for file in kept if "4779476602844521552" in file.read_text()]


def test_engine_messages_about_a_personal_column_are_withheld(tmp_path: Path) -> None:
    result = _evaluate(tmp_path, _batch(TOKENS, frame=FRAME.drop(columns="customer_id")))
    assert result.checks[0].observed == "not evaluated"
    (kept,) = (tmp_path / "gates").rglob("sparkov@2024-05-01.json")
    assert "withheld" in kept.read_text()
    assert "does not exist" not in kept.read_text()


def test_columns_that_differ_are_named(tmp_path: Path) -> None:
    rule = base_rules(TABLES["sandbox.transactions_masked"])[0]
    names = list(TABLES["sandbox.transactions_masked"].column_names)
    for columns, seen in (
        (names[1:], f"without {names[0]}"),
        ([*names, "ssn"], "with ssn, which is not declared"),
        (names[::-1], f"in another order: {', '.join(names[::-1])}"),
    ):
        frame = pd.DataFrame(columns=columns)
        result = _evaluate(tmp_path, Batch("sandbox.transactions_masked", frame, (rule,)))
        assert result.checks[0].observed == seen


def test_a_rule_that_cannot_be_evaluated_fails(tmp_path: Path) -> None:
    result = _evaluate(tmp_path, _batch(HOURS, frame=FRAME.drop(columns="hour_of_day")))
    assert not result.passed
    assert "hour_of_day" in str(result.checks[0].observed)


def test_an_empty_batch_closes_the_gate(tmp_path: Path) -> None:
    result = _evaluate(tmp_path, _batch(HOURS, not_empty(), frame=FRAME.head(0)))
    assert [check.name for check in result.checks if not check.passed] == [
        "transactions.table.not_empty"
    ]


def test_two_rules_with_the_same_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same name"):
        _evaluate(tmp_path, _batch(HOURS, HOURS))


def test_the_report_is_the_page_of_the_table_that_closed_the_gate(tmp_path: Path) -> None:
    good = Batch("processed.labels", FRAME, (HOURS,))
    result = _evaluate(tmp_path, good, _batch(TOKENS))
    assert result.report is not None
    assert "processed/transactions" in result.report
