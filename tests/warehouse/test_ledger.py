"""The run ledger: balanced, handed on as it was, and the same after a retry."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from contracts.results import Balance, CheckResult, ConservationError, GateResult, TaskAttempt
from contracts.settings import Settings
from contracts.stage_results import LoadResult, ProcessResult, ResultFormError
from contracts.windows import Window
from warehouse import ledger

pytestmark = pytest.mark.postgres
_AT = datetime(2024, 5, 2, 3, 4, 5, 678901, UTC)
_BALANCE = Balance(
    "sparkov", "USD", 10, 7, 2, 1, *(Decimal(n) for n in ("10.10", "7.07", "3.53", "-0.50"))
)
_RESTATED = replace(
    _BALANCE, currency="XXX", rows_in=11, rows_restated=-1, amount_in=Decimal("10.00"),
    amount_restated=Decimal("0.10"),
)  # fmt: skip
_WINDOW = Window.parse("sparkov@2024-05-01")
_RESULT = ProcessResult(
    window=_WINDOW,
    run_id="run 1",
    dates=(date(2024, 5, 1), date(2024, 4, 30)),
    snapshots={"processed.transactions": 2**62},
    branch="audit_1",
    balances=(_BALANCE, _RESTATED),
    manifests=("o'clock; drop table x",),
    reasons={"unknown_code": 2},
    delivered_dates=(date(2024, 5, 2),),
)


@pytest.fixture
def dsn(warehouse: Settings, loader: psycopg.Connection) -> str:
    return warehouse.warehouse.dsn("loader")


def test_the_next_stage_reads_what_the_last_one_reported(dsn: str) -> None:
    ledger.record(dsn, _RESULT, _AT, _AT + timedelta(seconds=2))
    assert ledger.latest(dsn, ProcessResult, _WINDOW) == _RESULT


def test_the_latest_finished_run_is_handed_on(dsn: str) -> None:
    newer = replace(_RESULT, run_id="run 2", snapshots={"processed.transactions": 5})
    ledger.record(dsn, newer, _AT, _AT + timedelta(seconds=9))
    ledger.record(dsn, _RESULT, _AT, _AT + timedelta(seconds=2))
    assert ledger.latest(dsn, ProcessResult, _WINDOW) == newer


def test_a_retry_records_its_run_once(dsn: str, loader: psycopg.Connection) -> None:
    ledger.record(dsn, _RESULT, _AT, _AT)
    mended = replace(_RESULT, balances=(replace(_BALANCE, rows_in=11, rows_out=8),))
    ledger.record(dsn, mended, _AT, _AT + timedelta(seconds=1))
    assert ledger.latest(dsn, ProcessResult, _WINDOW) == mended
    counts = "select (select count(*) from staging.run_ledger), count(*) from staging.run_balances"
    assert loader.execute(counts).fetchone() == (1, 1)


def test_a_result_that_another_version_recorded_is_refused_in_a_sentence(
    dsn: str, loader: psycopg.Connection
) -> None:
    ledger.record(dsn, _RESULT, _AT, _AT)
    loader.execute("update staging.run_ledger set details = details #- '{details,reasons}'")
    loader.commit()
    with pytest.raises(ResultFormError, match=r"cannot be read: reasons\..* run the stage process"):
        ledger.latest(dsn, ProcessResult, _WINDOW)


def test_a_window_that_never_ran_is_named(dsn: str) -> None:
    with pytest.raises(
        ledger.LedgerError, match="no run of stage load over window sparkov@2024-05-01"
    ):
        ledger.latest(dsn, LoadResult, _WINDOW)


def test_an_unbalanced_run_is_not_recorded(dsn: str, loader: psycopg.Connection) -> None:
    lost = replace(_RESULT, balances=(replace(_BALANCE, amount_out=Decimal("7.06")),))
    with pytest.raises(ConservationError):
        ledger.record(dsn, lost, _AT, _AT)
    assert loader.execute("select count(*) from staging.run_ledger").fetchone() == (0,)


@pytest.mark.parametrize("column", ["rows_out", "amount_duplicate"])
def test_the_table_itself_refuses_a_row_that_does_not_balance(
    dsn: str, loader: psycopg.Connection, column: str
) -> None:
    ledger.record(dsn, _RESULT, _AT, _AT)
    with pytest.raises(psycopg.errors.CheckViolation):
        loader.execute(f"update staging.run_balances set {column} = {column} + 1".encode())


def test_an_attempt_at_a_task_is_recorded_once(dsn: str, loader: psycopg.Connection) -> None:
    first = TaskAttempt(
        *("run 1", "process", _WINDOW, "write", 1, "failed"),
        *(_AT, _AT + timedelta(seconds=3), 3.0, 1.5, 200.25, 10, None),
    )
    second = replace(first, attempt=2, outcome="succeeded", spark_cpu_seconds=4.5)
    for attempt in (first, second, replace(first, seconds=2.5)):
        ledger.record_task(dsn, attempt)
    columns = "attempt_number, task_outcome, duration_seconds, bytes_written, spark_cpu_seconds"
    query = f"select {columns} from staging.run_tasks order by 1"
    assert loader.execute(query.encode()).fetchall() == [
        (1, "failed", 2.5, None, None),
        (2, "succeeded", 3.0, None, 4.5),
    ]


def _gate_result(passed: bool) -> GateResult:
    checks = (
        CheckResult("transactions.amount.range", "staging.transactions", "critical", passed,
                    "amount", "-1", ">= 0", "money is never negative"),
        CheckResult("transactions.table.rows", "staging.transactions", "warning", True),
    )  # fmt: skip
    return GateResult("staging", _WINDOW, "run 1", checks)


def test_each_evaluation_of_a_gate_is_kept(dsn: str, loader: psycopg.Connection) -> None:
    later = _AT + timedelta(minutes=1)
    ledger.record_gate(dsn, _gate_result(False), _AT)
    ledger.record_gate(dsn, _gate_result(True), later)
    columns = "gate, window_key, run_id, checked_at, check_name, is_passed, observed, check_reason"
    query = f"select {columns} from staging.gate_results where severity = 'critical' order by 4"
    assert loader.execute(query.encode()).fetchall() == [
        ("staging", _WINDOW.key, "run 1", at, "transactions.amount.range", passed, "-1",
         "money is never negative")
        for at, passed in ((_AT, False), (later, True))
    ]  # fmt: skip


def test_two_checks_of_one_name_are_refused(dsn: str) -> None:
    check = _gate_result(True).checks[0]
    twice = replace(_gate_result(True), checks=(check, check))
    with pytest.raises(ValueError, match=r"names a check twice: .*amount\.range"):
        ledger.record_gate(dsn, twice)
