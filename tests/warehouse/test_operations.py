"""The marts of operations: what was refused, what ran, what gates said; by days or at once."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from contracts.results import Balance, CheckResult, GateResult, TaskAttempt
from contracts.stage_results import LoadResult
from contracts.tables import TABLES
from contracts.windows import Window
from tests.stage_results import result_of
from warehouse import dbt_runner, ledger, transform
from warehouse.errors import WarehouseLostError
from warehouse.rule_backtests import record_backtest
from warehouse.waiting import abandon, waiting_windows

pytestmark = pytest.mark.postgres
_FIRST, _NEXT, _SHOP = "2024-05-01", "2024-05-02", "shop@2024-05-01"
_MARTS = (
    "fct_quarantined_records",
    "rpt_deliveries_daily",
    "rpt_data_quality",
    "fct_gate_results",
    "rpt_gate_history",
    "fct_runs",
    "fct_run_tasks",
    "rpt_platform_health",
    "rpt_window_stages",
    "rpt_fraud_rule_backtests",
)
_QUARANTINE = TABLES["processed.quarantine"]


def _at(day: int, hour: int = 12) -> datetime:
    return datetime(2024, 5, day, hour, 30, tzinfo=UTC)


def _refused(
    payment_rows: Callable[..., list[dict[str, Any]]],
    position: int,
    reasons: list[str],
    amount: str | None,
    currency: str | None,
    **given: Any,
) -> dict[str, Any]:
    values = {"first_seen_at": _at(1), "redrive_count": 0, "window_key": f"sparkov@{_FIRST}"}
    (row,) = payment_rows(_QUARANTINE, [date(2024, 5, 1)], 1, **values)
    money = None if amount is None else Decimal(amount)
    own = {"raw_position": position, "reasons": reasons, "amount": money, "currency": currency}
    return row | own | given


def _record_gate(line: Any, gate: str, window: str, at: datetime, *passed: bool) -> None:
    severities = ("critical", "warning", "info")
    checks = tuple(
        CheckResult(f"check {n}", "t", severities[n % 3], done) for n, done in enumerate(passed)
    )
    ledger.record_gate(
        line.loader, GateResult(gate, Window.parse(window), f"{gate} {window}", checks), at
    )


def _try(line: Any, run_id: str, window: str, attempt: int, at: datetime, **given: Any) -> None:
    task_attempt = TaskAttempt(
        **{
            **{"run_id": run_id, "stage": "load", "window": Window.parse(window), "task": "load"},
            **{"attempt": attempt, "outcome": "succeeded", "started_at": at, "finished_at": at},
            **{"seconds": 60.0, "cpu_seconds": 1.25, "peak_memory_mib": 100.0, "bytes_read": 7},
            **given,
        }
    )
    ledger.record_task(line.loader, task_attempt)


def _backtest(line: Any, at: datetime, **given: Any) -> None:
    row = {
        **{"backtested_at": at, "source_system": "sparkov", "rules_version": 1},
        **{"rule_code": "HIGH_AMOUNT", "currency": "USD", "transaction_count": 900},
        **{"first_event_date": date(2024, 5, 1), "last_event_date": date(2024, 5, 2)},
        **{"labelled_count": 800, "known_fraud_count": 5, "known_fraud_amount": Decimal("50")},
        **{"alert_count": 7, "alert_amount": Decimal("700.25")},
        **{"true_positive_count": 2, "false_positive_count": 2, "saved_amount": Decimal("12.5")},
        **given,
    }
    record_backtest(line.loader, [row])


def _run(line: Any, run_id: str, window: str, at: datetime) -> None:
    balances = tuple(Balance("sparkov", code, 250_000, 250_000) for code in ("EUR", "USD"))
    result = result_of(LoadResult, window, run_id, balances=balances)
    ledger.record(line.loader, result, at - timedelta(seconds=30), at)


def _ask(line: Any, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(line.settings.warehouse.dsn("reader")) as reader:
        return reader.execute(query.encode()).fetchall()


def _rows(line: Any, schema: str = "production") -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(line.settings.warehouse.dsn("transformer")) as connection:
        return {
            name: sorted(
                connection.execute(f"select * from {schema}.{name}".encode()).fetchall(), key=repr
            )
            for name in _MARTS
        }


@pytest.fixture(scope="module")
def line(new_line: Callable[[], Any], payment_rows: Callable[..., list[dict[str, Any]]]) -> Any:
    """A line with two days and another source, whose refused rows, gates and runs have moved on."""
    made = new_line()

    def refused(*given: Any, **more: Any) -> dict[str, Any]:
        return _refused(payment_rows, *given, **more)

    mends = refused(1, ["unknown_code"], "30.03", "USD")
    stays = refused(2, ["negative_amount", "unknown_code"], "-5.00", "USD")
    unread = refused(3, ["unreadable_amount"], None, None)
    other = refused(4, ["future_time"], "9.99", "EUR", source_system="shop")
    late = refused(5, ["future_time"], "1.00", "USD", delivered_date=date(2024, 5, 2))
    made.lake.refused = [mends, stays, unread, other]
    _record_gate(made, "raw", f"sparkov@{_FIRST}", _at(1), False, True, False)
    _record_gate(made, "raw", f"sparkov@{_FIRST}", _at(1, 13), True, False, True, True)
    _backtest(made, _at(1))
    made.run(_FIRST)
    _record_gate(made, "raw", _SHOP, _at(2), True)
    _record_gate(made, "staging", f"sparkov@{_FIRST}", _at(4), True, True)
    _try(made, "one", f"sparkov@{_FIRST}", 1, _at(2), outcome="failed", bytes_read=None)
    _try(made, "one", f"sparkov@{_FIRST}", 2, _at(2), spark_cpu_seconds=2.5)
    _run(made, "one", f"sparkov@{_FIRST}", _at(2))
    _try(made, "dies", _SHOP, 1, _at(2), outcome="failed", peak_memory_mib=300.5)
    made.run(_SHOP)
    made.lake.refused = [stays | {"redrive_count": 1, "redrive_run_id": "r"}, unread, other, late]
    _record_gate(made, "raw", f"sparkov@{_NEXT}", _at(4, 20), True, True)
    made.run(_NEXT)
    _record_gate(made, "production", f"sparkov@{_NEXT}", _at(5), True, True)
    _try(made, "two", f"sparkov@{_NEXT}", 1, _at(5))
    _run(made, "two", f"sparkov@{_NEXT}", _at(5))
    # Cleared days later, the first run moves to another date; the audit has seen its old one.
    _try(made, "one", f"sparkov@{_FIRST}", 3, _at(6))
    _run(made, "one", f"sparkov@{_FIRST}", _at(6))
    counts = ("known_fraud_count", "true_positive_count", "false_positive_count")
    nothing = dict.fromkeys((*counts, "known_fraud_amount", "saved_amount"), 0)
    _backtest(made, _at(6), source_system="shop", **nothing)
    abandon(made.loader, Window.parse(f"sparkov@{_NEXT}"), "a mistake", "operator", dry_run=False)
    transform.publish_recent(made.settings, "operations", "operations")
    return made


def test_each_refused_row_has_a_row_in_the_mart(line: Any) -> None:
    rows = _ask(
        line,
        "select raw_position, source_system, main_reason, refused_amount, redrive_outcome"
        " from production.fct_quarantined_records order by 1",
    )
    assert rows == [
        (2, "sparkov", "negative_amount", Decimal("-5.00"), "refused_again"),
        (3, "sparkov", "unreadable_amount", None, "waiting"),
        (4, "shop", "future_time", Decimal("9.99"), "waiting"),
        (5, "sparkov", "future_time", Decimal("1.00"), "waiting"),
    ]


def test_refused_rows_are_a_share_of_what_came_in_that_day(line: Any) -> None:
    # Twelve payments came in on each day, and what was refused beside them.
    rows = _ask(
        line,
        "select delivered_date, source_system, main_reason, currency, rows_quarantined,"
        " amount_quarantined, rows_in, quarantined_share from production.rpt_data_quality"
        " order by 1, 2, 3",
    )
    first, second = date(2024, 5, 1), date(2024, 5, 2)
    assert rows == [
        (first, "shop", "future_time", "EUR", 1, Decimal("9.99"), 13, 1 / 13),
        (first, "sparkov", "negative_amount", "USD", 1, Decimal("-5.00"), 14, 1 / 14),
        (first, "sparkov", "unreadable_amount", "XXX", 1, Decimal("0.00"), 14, 1 / 14),
        (second, "sparkov", "future_time", "USD", 1, Decimal("1.00"), 13, 1 / 13),
    ]


def test_a_gate_has_its_history_by_date_and_source(line: Any) -> None:
    rows = _ask(
        line,
        "select gate, source_system, checked_date, judgement_count, closed_count, check_count,"
        " failed_critical_count, failed_warning_count, failed_info_count, first_checked_at,"
        " last_checked_at from production.rpt_gate_history order by checked_date, 1, 2",
    )
    assert rows == [
        ("raw", "sparkov", date(2024, 5, 1), 2, 1, 7, 1, 1, 1, _at(1), _at(1, 13)),
        ("raw", "shop", date(2024, 5, 2), 1, 0, 1, 0, 0, 0, _at(2), _at(2)),
        ("raw", "sparkov", date(2024, 5, 4), 1, 0, 2, 0, 0, 0, _at(4, 20), _at(4, 20)),
        ("staging", "sparkov", date(2024, 5, 4), 1, 0, 2, 0, 0, 0, _at(4), _at(4)),
        ("production", "sparkov", date(2024, 5, 5), 1, 0, 2, 0, 0, 0, _at(5), _at(5)),
    ]


def test_a_run_has_the_totals_of_all_its_attempts(line: Any) -> None:
    rows = _ask(
        line,
        "select run_id, currency, cpu_seconds, peak_memory_mib, bytes_read, spark_cpu_seconds,"
        " finished_at, last_finished_at from production.fct_runs order by 1, 2",
    )
    one, two = (3.75, 100.0, 14, 2.5, _at(6), _at(6)), (1.25, 100.0, 7, None, _at(5), _at(5))
    assert rows == [
        *(("one", code, *one) for code in ("EUR", "USD")),
        *(("two", code, *two) for code in ("EUR", "USD")),
    ]


def test_health_has_a_row_per_stage_source_and_date(line: Any) -> None:
    rows = _ask(
        line,
        "select source_system, finished_date, run_count, rows_out, attempt_count,"
        " failed_attempt_count, cpu_seconds, peak_memory_mib, run_seconds_per_million,"
        " cpu_seconds_per_million, freshness_days from production.rpt_platform_health"
        " order by finished_date, 1",
    )
    assert rows == [
        ("shop", date(2024, 5, 2), 0, 0, 1, 1, 1.25, 300.5, None, None, None),
        ("sparkov", date(2024, 5, 2), 0, 0, 2, 1, 2.5, 100.0, None, None, None),
        ("sparkov", date(2024, 5, 5), 1, 500_000, 1, 0, 1.25, 100.0, 60.0, 2.5, 3),
        ("sparkov", date(2024, 5, 6), 1, 500_000, 1, 0, 1.25, 100.0, 60.0, 2.5, 4),
    ]


def test_the_mart_and_the_command_list_the_same_waiting_windows(line: Any) -> None:
    rows = _ask(
        line,
        "select window_key, next_stage, waiting_since_at from production.rpt_window_stages"
        " where next_stage is not null order by waiting_since_at, window_key",
    )
    waiting = waiting_windows(line.loader)
    assert rows == [(item.window.key, item.stage, item.since) for item in waiting]
    assert [row[:2] for row in rows] == [(f"sparkov@{_FIRST}", "build")]
    abandoned = _ask(
        line,
        "select window_key, next_stage, waiting_since_at, abandoned_by, abandonment_reason"
        " from production.rpt_window_stages where abandoned_at is not null",
    )
    assert abandoned == [(f"sparkov@{_NEXT}", None, None, "operator", "a mistake")]


def test_a_backtest_of_rules_has_ratios_and_the_money_of_missed_frauds(line: Any) -> None:
    rows = _ask(
        line,
        "select backtested_at, source_system, rule_code, alert_count, alert_amount,"
        " missed_fraud_count, missed_amount, alert_precision_ratio, alert_recall_ratio,"
        " saved_amount_share from production.rpt_fraud_rule_backtests order by 1",
    )
    alerts = ("HIGH_AMOUNT", 7, Decimal("700.25"))
    assert rows == [
        (_at(1), "sparkov", *alerts, 3, Decimal("37.5"), 0.5, 0.4, 0.25),
        (_at(6), "shop", *alerts, 0, Decimal(0), None, None, None),
    ]


def test_a_backtest_that_postgres_does_not_take_is_a_clear_error() -> None:
    with pytest.raises(WarehouseLostError, match=r"Postgres was lost while .*record_backtest"):
        record_backtest("postgresql://nobody@127.0.0.1:1/warehouse", [])


def test_daily_builds_equal_a_full_refresh(line: Any) -> None:
    published = _rows(line)
    assert all(published.values())
    command = ["build", "--full-refresh", "--exclude-resource-type", "unit_test"]
    dbt_runner.run(line.settings, "operations", command, {}, ["--select", "tag:operations"])
    assert _rows(line, "production_audit") == published
