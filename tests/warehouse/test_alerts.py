"""A score and its alert are in PRODUCTION while their payment is."""

from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest

from warehouse import transform

pytestmark = pytest.mark.postgres
_DAY = "2024-05-01"


def _scored(line: Any) -> tuple[Any, ...]:
    """Publish the scores; return their number, the payments that reports count, and the alerts."""
    transform.publish(line.settings, line.build(_DAY, "scores"))
    with psycopg.connect(line.settings.warehouse.dsn("reader")) as reader:
        counted = reader.execute(
            "select (select count(*) from production.fct_transaction_scores),"
            " (select transaction_count from production.rpt_model_performance),"
            " (select sum(transaction_count)::int from production.rpt_model_value)"
        ).fetchone()
        alerts = reader.execute(
            "select event_id, amount is null, currency is null, event_at is null, top_reason"
            " from production.fct_fraud_alerts order by event_id"
        ).fetchall()
    assert counted is not None
    return (*counted, alerts)


def _alerts(*numbers: int) -> list[tuple[Any, ...]]:
    return sorted((f"{_DAY}/{number}", False, False, False, "one") for number in numbers)


def test_a_score_waits_in_staging_for_its_payment(new_line: Callable[[], Any]) -> None:
    line = new_line()
    line.run(_DAY)
    # Payments 12 to 15 are scored and not loaded; of them 15 is an alert, as are 0, 5 and 10.
    line.lake.rows["sparkov", date(2024, 5, 1)] = 16
    line.score(_DAY)
    assert _scored(line) == (12, 12, 12, _alerts(0, 5, 10))

    # The payments come after all: the day is built again.
    line.run(_DAY, rows={date(2024, 5, 1): 16})
    assert _scored(line) == (16, 16, 16, _alerts(0, 5, 10, 15))
