"""The reports: each sums its facts, and is the same however the days come."""

from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest

from warehouse import transform

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.usefixtures("payment_marts"),
    pytest.mark.random_order(disabled=True),
]
# Some dates mature meanwhile; weeks and months end: 29 April 2024 is a Monday, and so is 6 May.
FIRST, LAST = date(2024, 2, 20), date(2024, 5, 8)
# One window after another, and in the end a day that came late.
WINDOWS = (
    "2024-02-20--2024-04-29",
    "2024-05-01--2024-05-05",
    "2024-05-06",
    "2024-05-07--2024-05-08",
    "2024-04-30",
)
REPORTS = (
    "rpt_fraud_daily",
    "rpt_fraud_delays",
    "rpt_fraud_maturity",
    "rpt_fraud_overview",
    "rpt_fraud_patterns",
    "rpt_fraud_rolling",
    "rpt_maturity_backtest",
)
SUMS = ("rpt_fraud_daily", "rpt_fraud_overview", "rpt_fraud_patterns")


def select(line: Any, query: str, role: Any = "reader") -> list[tuple[Any, ...]]:
    with psycopg.connect(line.settings.warehouse.dsn(role)) as connection:
        return connection.execute(query.encode()).fetchall()


def reports(line: Any, schema: str = "production") -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: sorted(select(line, f"select * from {schema}.{name}", "transformer"), key=repr)
        for name in REPORTS
    }


@pytest.fixture(scope="module")
def whole(new_line: Callable[[], Any]) -> Any:
    """A line on which all days came at once."""
    line = new_line()
    line.run(f"{FIRST}--{LAST}")
    return line


@pytest.fixture(scope="module")
def daily(new_line: Callable[[], Any]) -> Any:
    """A line on which the same days came by and by, and one of them late."""
    line = new_line()
    for window in WINDOWS:
        line.run(window)
    return line


@pytest.mark.parametrize("name", REPORTS)
def test_daily_and_late_builds_equal_one_build(whole: Any, daily: Any, name: str) -> None:
    assert reports(daily)[name] == reports(whole)[name]


@pytest.mark.parametrize("name", SUMS)
def test_a_report_has_the_payments_and_the_money_of_the_fact(whole: Any, name: str) -> None:
    day, which = {
        "rpt_fraud_overview": ("period_start", "period_type = 'day'"),
    }.get(name, ("event_date", "true"))
    along = "source_system, currency"
    assert sorted(
        select(
            whole,
            f"select {day}, {along}, sum(transaction_count), sum(amount)"
            f" from production.{name} where {which} group by {day}, {along}",
        )
    ) == sorted(
        select(
            whole,
            f"select event_date, {along}, count(*), sum(amount)"
            f" from production.fct_transactions group by event_date, {along}",
        )
    )


def test_a_week_and_a_month_sum_their_days(daily: Any) -> None:
    found = select(
        daily,
        "select period_type, period_start, sum(transaction_count), sum(known_fraud_count)"
        " from production.rpt_fraud_overview where period_type <> 'day'"
        " and period_start >= '2024-04-01' and (period_type, period_start)"
        " not in (('week', '2024-04-01'), ('week', '2024-04-08'), ('week', '2024-04-15'))"
        " group by 1, 2 order by 1, 2",
    )
    # Twelve payments a day; fraud 0 is known at once, fraud 7 three days later.
    assert found == [
        ("month", date(2024, 4, 1), 360, 60),
        ("month", date(2024, 5, 1), 96, 13),
        ("week", date(2024, 4, 22), 84, 14),
        ("week", date(2024, 4, 29), 84, 14),
        ("week", date(2024, 5, 6), 36, 3),
    ]


def test_a_refused_build_is_restored_in_every_report(daily: Any) -> None:
    before = reports(daily)
    assert reports(daily, "production_audit") == before
    daily.load("2024-05-09")
    built = daily.build("2024-05-09")
    changed = reports(daily, "production_audit")
    assert [name for name in REPORTS if changed[name] == before[name]] == []
    transform.discard(daily.settings, built)
    assert reports(daily, "production_audit") == before
    assert reports(daily) == before


def test_a_day_writes_only_the_rows_of_its_periods(daily: Any) -> None:
    daily.lake.unlabelled = {"sparkov": 1}
    daily.run("2024-05-14")
    found = select(
        daily,
        "select period_type, period_start from production.rpt_fraud_overview"
        " where xmin::text = (select xmin::text from production.rpt_fraud_overview"
        " where period_type = 'day' and period_start = '2024-05-14' limit 1)"
        " group by 1, 2 order by 1, 2",
    )
    # Labels of 6, 7 and 8 May have become known since.
    assert found == [
        ("day", date(2024, 5, 6)),
        ("day", date(2024, 5, 7)),
        ("day", date(2024, 5, 8)),
        ("day", date(2024, 5, 14)),
        ("month", date(2024, 5, 1)),
        ("week", date(2024, 5, 6)),
        ("week", date(2024, 5, 13)),
    ]
