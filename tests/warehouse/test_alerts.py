"""An alert keeps its row whatever becomes of its payment, and gets its outcome with the label."""

from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest

from warehouse import transform

pytestmark = pytest.mark.postgres
_DAY = "2024-05-01"


def _alerts(line: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(line.settings.warehouse.dsn("reader")) as reader:
        return reader.execute(
            "select event_id, amount is null, currency is null, event_at is null, top_reason"
            " from production.fct_fraud_alerts order by event_id"
        ).fetchall()


def test_a_score_for_a_payment_not_loaded_loses_no_row(new_line: Callable[[], Any]) -> None:
    line = new_line()
    line.run(_DAY)
    # Payments 12 to 15 are scored and not loaded; of them 15 is an alert, as are 0, 5 and 10.
    line.lake.rows["sparkov", date(2024, 5, 1)] = 16
    line.score(_DAY)
    transform.publish(line.settings, line.build(_DAY, "scores"))
    missing = (f"{_DAY}/15", True, True, True, "one")
    assert _alerts(line) == sorted(
        [*((f"{_DAY}/{n}", False, False, False, "one") for n in (0, 5, 10)), missing]
    )
    with psycopg.connect(line.settings.warehouse.dsn("reader")) as reader:
        counted = reader.execute(
            "select (select count(*) from production.fct_transaction_scores),"
            " (select transaction_count from production.rpt_model_performance),"
            " (select transaction_count from production.rpt_model_value where currency = 'XXX')"
        ).fetchone()
    assert counted == (16, 16, 4)

    # The payments come after all: the day is built again.
    line.run(_DAY, rows={date(2024, 5, 1): 16})
    transform.publish(line.settings, line.build(_DAY, "scores"))
    assert {row[1:] for row in _alerts(line)} == {(False, False, False, "one")}
