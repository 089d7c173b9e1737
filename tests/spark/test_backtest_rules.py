"""The rules of fraud on a lake with a few payments, whose alerts are written by hand."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from contracts.columns import LogicalType
from contracts.fraud_rules import FraudRules, fraud_rules
from contracts.render import to_arrow
from contracts.tables import TABLES
from contracts.windows import Window

if TYPE_CHECKING:
    from spark.jobs.backtest_rules import RuleResult
    from tests.spark.conftest import Line

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.random_order(disabled=True),
]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = "2019-01-05"


_KNOWN = datetime(2019, 3, 1, tzinfo=UTC)
_DEFAULTS: Mapping[LogicalType, Any] = {
    LogicalType.STRING: "sparkov",
    LogicalType.INTEGER: 1,
    LogicalType.LONG: 0,
    LogicalType.DOUBLE: 0.0,
    LogicalType.BOOLEAN: False,
    LogicalType.MONEY: Decimal(1),
    LogicalType.TIMESTAMP: _KNOWN,
}


def payment(event_id: str, at: str, amount: str, card: str, **changes: Any) -> dict[str, Any]:
    """Return the columns of a payment, of its features and of its label."""
    time = datetime.fromisoformat(at).replace(tzinfo=UTC)
    place = {"transaction_lat": 25.8, "transaction_lon": -80.6}
    own = {"event_id": event_id, "event_at": time, "event_date": time.date()}
    own |= {"amount": Decimal(amount), "currency": "USD", "event_at_precision": "second"}
    return {**own, **place, "instrument_id": card, "counterparty_id": "sparkov", **changes}


NORTH, FAST = {"transaction_lat": 26.8}, {"travel_speed_km_per_hour": 6671.7}
PAYMENTS = [
    # Four payments of a card within a minute, at two places 111 km apart.
    payment("a1", "2019-01-04T23:59:50", "10", "k1"),
    payment("a2", "2019-01-05T00:00:00", "10", "k1", **NORTH, **FAST),
    payment("a3", "2019-01-05T00:00:10", "10", "k1", **FAST),
    payment("a4", "2019-01-05T00:00:20", "20.5", "k1", is_fraud=True, **NORTH, **FAST),
    payment("night", "2019-01-05T08:00:00", "10", "k2"),
    payment("high", "2019-01-05T12:00:00", "20000", "k3", is_fraud=True),
    payment("high, but genuine", "2019-01-05T13:00:00", "15000", "k4"),
    payment("missed", "2019-01-05T14:00:00", "30", "k5", is_fraud=True),
]


def results(line: "Line", source: str = "sparkov", **changes: Any) -> dict[str, "RuleResult"]:
    from spark.jobs.backtest_rules import backtest_rules

    options = {"rules": fraud_rules(), "known_by": NOW, "window": Window.of(source, DAY), **changes}
    backtest = backtest_rules(line.spark, source, **options)
    assert backtest.source_system == source
    assert backtest.backtested_at == options["known_by"]
    assert backtest.rules_version == options["rules"].version
    first = date(2019, 1, 5) if options["window"] else date(2019, 1, 4)
    assert (backtest.first_event_date, backtest.last_event_date) == (first, date(2019, 1, 5))
    return {result.rule_code: result for result in backtest.results}


def test_a_lake_without_tables_has_no_payments(line: "Line") -> None:
    from spark.jobs.backtest_rules import BacktestError

    with pytest.raises(BacktestError, match="no payments of sparkov with features on 2019-01-05"):
        results(line)


@pytest.fixture(scope="module")
def lake(line: "Line") -> "Line":
    """Give a lake with the payments, their features and their labels, written without the line."""
    from lake.tables import ensure_tables

    for name in ("processed", "sandbox"):
        ensure_tables(line.spark, name)
    for name in ("processed.transactions", "processed.labels", "sandbox.features"):
        table = TABLES[name]
        defaults = {
            column.name: None if table.is_nullable(column.name) else _DEFAULTS.get(column.type)
            for column in table.columns
        }
        rows = [{**defaults, **one} for one in PAYMENTS]
        frame = pa.Table.from_pylist(rows, to_arrow.schema(table))
        line.spark.createDataFrame(frame).writeTo(f"lake.{name}").append()
    return line


def test_alerts_frauds_and_money_of_each_rule(lake: "Line") -> None:
    from spark.jobs.backtest_rules import ANY_RULE, RuleResult

    nothing = RuleResult(
        rule_code="",
        currency="USD",
        transaction_count=7,
        labelled_count=7,
        known_fraud_count=3,
        known_fraud_amount=Decimal("20050.5"),
        alert_count=0,
        alert_amount=Decimal(0),
        true_positive_count=0,
        false_positive_count=0,
        saved_amount=Decimal(0),
    )

    def alerts(count: int, amount: str, frauds: int, saved: str) -> RuleResult:
        return replace(
            nothing,
            alert_count=count,
            alert_amount=Decimal(amount),
            true_positive_count=frauds,
            false_positive_count=count - frauds,
            saved_amount=Decimal(saved),
        )

    expected = {
        "HIGH_AMOUNT": alerts(2, "35000", 1, "20000"),
        # The first of the four payments is of the day before the window.
        "VELOCITY_MULTI_CITY": alerts(1, "20.5", 1, "20.5"),
        "UNUSUAL_HOUR": alerts(1, "10", 0, "0"),
        "NEW_DEVICE_HIGH_AMOUNT": nothing,
        "IMPOSSIBLE_TRAVEL": alerts(3, "40.5", 1, "20.5"),
        "CARD_TESTING": nothing,
        ANY_RULE: alerts(6, "35050.5", 2, "20020.5"),
    }
    assert results(lake) == {
        code: replace(result, rule_code=code) for code, result in expected.items()
    }


def test_without_a_window_the_whole_lake_counts_and_labels_only_once_known(lake: "Line") -> None:
    found = results(lake, window=None, known_by=datetime(2019, 1, 5, tzinfo=UTC))

    high = found["HIGH_AMOUNT"]
    assert (high.transaction_count, high.alert_count) == (8, 2)
    assert (high.labelled_count, high.known_fraud_count, high.false_positive_count) == (0, 0, 0)


def test_a_suppressed_rule_raises_no_alert_until_it_expires(lake: "Line") -> None:
    merchant = {"source_system": "sparkov", "counterparty_id": "sparkov"}
    about = {"rule": "HIGH_AMOUNT", "owner": "o", "reason": "Sells cars.", **merchant}
    rules = fraud_rules().model_dump(by_alias=True)
    for expires, alerts in (("2019-01-06", 0), (DAY, 2)):
        rules["suppressions"] = [{**about, "expires": expires}]
        found = results(lake, rules=FraudRules.model_validate(rules))
        assert found["HIGH_AMOUNT"].alert_count == alerts


def test_what_cannot_be_tested_is_a_clear_error(lake: "Line") -> None:
    from spark.jobs.backtest_rules import BacktestError

    with pytest.raises(BacktestError, match="no payments of handbook with features on 2019-01-05"):
        results(lake, source="handbook")
    with pytest.raises(BacktestError, match="no payments of sparkov with features on 2019-01-06"):
        results(lake, window=Window.of("sparkov", "2019-01-06"))
    (rule, *_) = fraud_rules().model_dump(by_alias=True)["rules"]
    rule["when"] = [{"figure": "score", "above": 0.5}]
    with pytest.raises(BacktestError, match="The lake has no score, so no rule that uses it"):
        results(lake, rules=FraudRules.model_validate({"version": 1, "rules": [rule]}))
