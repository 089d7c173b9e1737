"""A warehouse with payments, scores and gates in it, and Superset over it."""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bi.browser import Browser, browser
from bi.publish import publish
from contracts.columns import CHANNELS
from contracts.results import CheckResult, GateResult, TaskAttempt
from contracts.settings import Settings
from contracts.windows import Window
from warehouse import ledger, transform
from warehouse.rule_backtests import record_backtest

_FIRST = date(2024, 5, 1)
# Frauds of 60 days and older tell how soon the others become known.
_DAYS = 150
_NOW = datetime(2024, 6, 1, 3, tzinfo=UTC)


def _of_the_warehouse_tests() -> Any:
    """Import the conftest whose fixtures make warehouses and lines."""
    file = Path(__file__).parents[1] / "warehouse" / "conftest.py"
    spec = importlib.util.spec_from_file_location("warehouse_conftest", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_shared = _of_the_warehouse_tests()
new_warehouse, new_lake, new_line = _shared.new_warehouse, _shared.new_lake, _shared.new_line


def _traits(number: int) -> dict[str, Any]:
    """Say what a payment is like: frauds are dearer, at night, and more of them abroad."""
    is_fraud = number % 9 == 4
    return {
        "is_fraud": is_fraud,
        "amount": Decimal(number * 7 % 90 + (400 if is_fraud else 10)) + Decimal("0.37"),
        "currency": "USD",
        "country": ("US", "GB", "DE")[number % 3],
        "channel": CHANNELS[number % 2],
        "merchant_category": ("grocery", "travel", "electronics", "health")[number % 4],
    }


def _record_gates(dsn: str, window: str, run_id: str) -> None:
    """Record the results of two gates on a window; the second has a warning."""
    for gate, passed in (("staging", True), ("production", False)):
        check = CheckResult(
            f"{gate}.rows", f"{gate}.transactions", "warning", passed, None, "1", "2", "it may be"
        )
        sure = replace(check, name=f"{gate}.key", severity="critical", passed=True)
        ledger.record_gate(dsn, GateResult(gate, Window.parse(window), run_id, (check, sure)), _NOW)


def _record_backtest(dsn: str) -> None:
    """Record a backtest of two rules; the second has no alert."""
    row: dict[str, Any] = {
        **{"backtested_at": _NOW, "source_system": "sparkov", "rules_version": 1},
        **{"rule_code": "HIGH_AMOUNT", "currency": "USD", "transaction_count": 900},
        **{"first_event_date": _FIRST, "last_event_date": _FIRST, "labelled_count": 800},
        **{"known_fraud_count": 5, "known_fraud_amount": Decimal(50)},
        **{"alert_count": 7, "alert_amount": Decimal("700.25")},
        **{"true_positive_count": 2, "false_positive_count": 2, "saved_amount": Decimal("12.5")},
    }
    counts = ("alert_count", "alert_amount", "true_positive_count", "false_positive_count")
    silent = {"rule_code": "CARD_TESTING", **dict.fromkeys((*counts, "saved_amount"), 0)}
    record_backtest(dsn, [row, row | silent])


@pytest.fixture(scope="module")
def production(new_line: Callable[[], Any]) -> Settings:
    """Build PRODUCTION from made-up payments of two sources; return where it is."""
    line = new_line()
    _record_backtest(line.loader)
    for source in ("sparkov", "handbook"):
        line.lake.traits[source] = _traits
        window = f"{source}@{_FIRST}--{_FIRST + timedelta(days=_DAYS - 1)}"
        for result in (line.load(window), line.build(window)):
            ledger.record(line.loader, result, _NOW, _NOW + timedelta(seconds=5))
            run = (result.run_id, result.stage, result.window, "task", 1, "succeeded")
            took = (_NOW, _NOW + timedelta(seconds=5), 5.0, 2.5, 200.0)
            ledger.record_task(line.loader, TaskAttempt(*run, *took))
        _record_gates(line.loader, window, result.run_id)
        transform.publish(line.settings, result)
        line.score(window)
        for layer in ("scores", "operations"):
            transform.publish(line.settings, line.build(window, layer))
    return line.settings


@pytest.fixture(scope="module")
def dashboards(superset: Settings, production: Settings) -> Settings:
    """Import the dashboards into Superset, over that PRODUCTION."""
    settings = superset.model_copy(update={"warehouse": production.warehouse})
    publish(settings)
    return settings


@pytest.fixture(scope="module")
def window(dashboards: Settings) -> Iterator[Browser]:
    """Open a browser that is logged in."""
    with browser(dashboards) as opened:
        opened.log_in()
        yield opened
