"""The same lake, loaded, built and tested on both warehouses, ends in the same PRODUCTION."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.results import Balance, CheckResult, GateResult, TaskAttempt
from contracts.settings import Settings
from contracts.stage_results import LoadResult
from contracts.stages import Layer, Stage
from contracts.tables import TABLES, zone
from contracts.windows import Window
from tests.stage_results import result_of
from tests.warehouse.dbt_command import developer_shell, run_dbt
from warehouse import dbt_runner, decisions, ledger, parity, transform
from warehouse.rule_backtests import record_backtest
from warehouse.snowflake import load
from warehouse.snowflake.__main__ import bring
from warehouse.snowflake.session import Session, connect

pytestmark = [pytest.mark.postgres, pytest.mark.soak, pytest.mark.timeout(1200)]
_HISTORY = "2024-05-01--2024-05-03"
_NEXT = "2024-05-03--2024-05-04"
_NEXT_ROWS = {date(2024, 5, 3): 15, date(2024, 5, 4): 12}
"""A day that comes again with more, and a new one."""

_OTHER = "handbook@2024-02-20--2024-05-03"
_OTHER_DAYS = (*(date(2024, 2, day) for day in range(20, 30)), date(2024, 5, 2), date(2024, 5, 3))
"""Some long enough ago that the delays of their labels tell what to expect of the last."""

_AT = datetime(2024, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def lines(
    new_line: Callable[[], Any], on_snowflake: Callable[[Settings], Settings]
) -> tuple[Any, Any]:
    """A lake and two warehouses; what runs record is in Postgres for both."""
    here = new_line()
    return here, here.beside(on_snowflake(here.settings), load)


def _record(settings: Settings, number: int) -> None:
    """Record a run and a gate, days apart, so that only the newest are recent."""
    dsn, at = settings.warehouse.dsn("loader"), _AT + timedelta(days=3 * number)
    balance = Balance("sparkov", "USD", 3, 3)
    window, dates = f"sparkov@2024-05-0{number}", (date(2024, 5, 1),)
    run = result_of(LoadResult, window, f"run {number}", dates=dates, balances=(balance,))
    ledger.record(dsn, run, at, at + timedelta(seconds=4))
    task = TaskAttempt(
        *(f"run {number}", Stage.LOAD, run.window, "write", 1, "succeeded"),
        *(at, at + timedelta(seconds=3), 3.0, 1.5, 100.0),
    )
    ledger.record_task(dsn, task)
    check = CheckResult("rows", "staging.labels", "critical", number > 1, observed="3")
    ledger.record_gate(dsn, GateResult("staging", run.window, f"run {number}", (check,)), at)


def _publish(line: Any, window: str, layer: Layer = "core") -> None:
    transform.publish(line.settings, line.build(window, layer))


def _compared(lines: tuple[Any, Any]) -> list[parity.Compared]:
    with parity.postgres(lines[0].settings) as here, parity.snowflake(lines[1].settings) as there:
        return parity.compare(here, there, zone("production"))


def _require_the_same(lines: tuple[Any, Any]) -> list[parity.Compared]:
    found = _compared(lines)
    assert [table for table in found if not table.agrees] == [], parity.report(found)
    return found


def test_a_history_and_another_source_are_equal_in_both_warehouses(
    lines: tuple[Any, Any], payment_rows: Callable[..., list[dict[str, Any]]]
) -> None:
    _record(lines[0].settings, 1)
    assert lines[0].alert(date(2024, 5, 1), 0, 3) == 2
    backtests = payment_rows(TABLES["staging.fraud_rule_backtests"], [date(2024, 5, 1)], 1)
    loader = lines[0].settings.warehouse.dsn("loader")
    record_backtest(loader, backtests)
    decided = payment_rows(TABLES["staging.decisions"], [date(2024, 5, 1)], 3)
    decisions.add(loader, decisions.stage(loader, "decisions", decided))
    replays = payment_rows(TABLES["staging.decision_replays"], [date(2024, 5, 1)], 1)
    decisions.record_replays(loader, Window.of("decision_log", "2024-05-01"), replays)
    for line in lines:
        line.run(_HISTORY)
        line.score(_HISTORY)
        _publish(line, _HISTORY, "scores")
    _require_the_same(lines)
    _record(lines[0].settings, 2)
    _record(lines[0].settings, 3)
    for line in lines:
        line.run(_OTHER, rows=dict.fromkeys(_OTHER_DAYS, 30))
    assert [table.table for table in _require_the_same(lines) if not table.rows_here] == []


def test_a_window_that_passed_all_gates_is_loaded_with_its_scores(
    lines: tuple[Any, Any],
) -> None:
    here, there = lines
    at = _AT + timedelta(days=12)  # after the runs above: only recent runs are copied
    recent = {"recorded_at": at, "run_id": "recent", "model_name": None, "score": None}
    here.alert(date(2024, 5, 2), 4, model_version=None, **recent)
    for passed in here.lake.publish(_NEXT, _NEXT_ROWS):
        ledger.record(here.settings.warehouse.dsn("loader"), passed, at, at)
    here.run(_NEXT, rows=_NEXT_ROWS)
    here.score(_NEXT)
    _publish(here, _NEXT, "scores")
    bring(there.settings, here.lake.catalog, Window.of("sparkov", _NEXT))
    _require_the_same(lines)


def _stored(session: Session, schema: str, table: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return what there is of a table: columns with type and nullability, key and rows."""
    name = f"{schema}.{table}"
    return {
        "columns": [(row[0], row[1], row[3]) for row in session.rows(f"describe table {name}")],
        "key": [(row[4],) for row in session.rows(f"show primary keys in table {name}")],
        "rows": sorted(session.rows(f"select * from {name}"), key=repr),
    }


def test_a_repeated_window_and_a_changed_contract_are_published(
    lines: tuple[Any, Any],
) -> None:
    here, there = lines
    changes = {
        "fct_fraud_labels": "drop column raw_object",
        "fct_transactions": "rename column region to area",
        "rpt_fraud_daily": "add column note text",
        "dim_merchants": "alter column is_current set data type text",
        "fct_fraud_alerts": "add column note text",
    }
    with connect(there.settings, "transformer") as session:
        audited = {name: _stored(session, "production_audit", name) for name in changes}
        assert all(stored["key"] and stored["rows"] for stored in audited.values())
        for name, change in changes.items():
            session.run(f"alter table production.{name} {change}")
        differing = {table.table for table in _compared(lines) if not table.agrees}
        assert differing == set(changes)
        bring(there.settings, here.lake.catalog, Window.of("sparkov", _NEXT))
        assert {name: _stored(session, "production", name) for name in changes} == audited
        tables = session.rows(
            "select lower(table_name) from information_schema.tables"
            " where table_schema = 'PRODUCTION'"
        )
    assert {name for (name,) in tables} == {table.short_name for table in zone("production")}
    _require_the_same(lines)


def test_a_refused_day_is_restored(lines: tuple[Any, Any]) -> None:
    _, there = lines
    before = _audited(there.settings)
    there.load("2024-05-05")
    built = there.build("2024-05-05")
    assert _audited(there.settings) != before
    _require_the_same(lines)
    transform.discard(there.settings, built)
    assert _audited(there.settings) == before


def _audited(settings: Settings) -> list[tuple[Any, ...]]:
    with connect(settings, "transformer") as session:
        return session.rows("select * from production_audit.rpt_fraud_daily order by 1, 2, 3")


def test_the_unit_tests_of_the_marts_pass(lines: tuple[Any, Any]) -> None:
    ran = [
        dbt_runner.run(line.settings, "core", ["test"], {}, ["--select", "test_type:unit"])
        for line in lines[1:]
    ]
    assert all(ran)


def test_a_developer_builds_the_newest_day_in_their_own_schema(
    lines: tuple[Any, Any], tmp_path: Path
) -> None:
    settings = lines[1].settings
    run_dbt(developer_shell(settings, tmp_path), "build", "--select", "+fct_transactions")
    dates = "select max(event_date), min(event_date) from"
    with connect(settings, "transformer") as session:
        ((newest, _),) = session.rows(f"{dates} staging.transactions")
        (built,) = session.rows(f"{dates} {settings.warehouse.developer_schema}.fct_transactions")
    assert built == (newest, newest)
    _require_the_same(lines)


def test_the_password_is_in_no_log(lines: tuple[Any, Any]) -> None:
    settings = lines[1].settings
    password = settings.snowflake.password.get_secret_value()
    logs = [p for p in (settings.state_dir / "logs").rglob("*") if p.is_file()]
    assert logs
    assert [p for p in logs if f'"{password}"'.encode() in p.read_bytes()] == []


def test_the_command_reports_a_changed_cent(
    lines: tuple[Any, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = lines[1].settings
    assert parity.main(settings) == 0
    with connect(settings, "transformer") as session:
        changed = session.run(
            "update production.fct_transactions set amount = amount + 0.01"
            " where source_system = 'sparkov' and event_id = '2024-05-01/3'"
        )
    assert changed == 1
    assert parity.main(settings) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if " is 3.3700 in " in line]
    assert line.startswith("fct_transactions")
    assert "amount of source_system sparkov, event_id 2024-05-01/3" in line
