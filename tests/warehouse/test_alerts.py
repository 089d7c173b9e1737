"""A score and an alert are in PRODUCTION while their payment is."""

from collections.abc import Callable
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from contracts.settings import Settings
from warehouse import stream_alerts, transform
from warehouse.errors import WarehouseLostError

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("payment_marts")]
_DATE = date(2024, 5, 1)
_DAY = _DATE.isoformat()
_NEXT = (_DATE + timedelta(days=1)).isoformat()
_RULES = {"model_name": None, "model_version": None, "score": None, "rules_version": 3}


def _scored(line: Any, day: str = _DAY) -> tuple[Any, ...]:
    """Publish the scores of a day; return what `_published` returns."""
    transform.publish(line.settings, line.build(day, "scores"))
    return _published(line)


def _published(line: Any) -> tuple[Any, ...]:
    """Return the number of scores, the payments that two reports count, and the alerts."""
    with psycopg.connect(line.settings.warehouse.dsn("reader")) as reader:
        counted = reader.execute(
            "select (select count(*) from production.fct_transaction_scores),"
            " (select transaction_count from production.rpt_model_performance),"
            " (select sum(transaction_count)::int from production.rpt_model_value)"
        ).fetchone()
        alerts = reader.execute(
            "select split_part(event_id, '/', 2)::int, detected_by, model_name, model_version,"
            " amount is null, currency is null, event_at is null, top_reason, reason_text,"
            " rule_codes"
            " from production.fct_fraud_alerts order by 2, 1"
        ).fetchall()
    assert counted is not None
    return (*counted, alerts)


_REASONS = ("ONE", "One. Two.")


def _batch(*numbers: int) -> list[tuple[Any, ...]]:
    model = ("fraud_detector_sparkov", 1)
    return [(number, "batch", *model, False, False, False, *_REASONS, []) for number in numbers]


def _stream(**models: tuple[str, int]) -> list[tuple[Any, ...]]:
    """Return alerts of the stream, by payment and its model."""
    codes = ["one", "two"]
    return [
        (int(number.removeprefix("p")), "stream", *model, False, False, False, *_REASONS, codes)
        for number, model in models.items()
    ]


@pytest.mark.airflow
def test_an_alert_waits_in_staging_for_its_payment(
    new_line: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alerts of the stream need no score, and the next build takes up those that come later.

    Slow, about 25 s: dbt builds five times.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    from tollgate_airflow.stages import alerts as stage

    line = new_line()
    monkeypatch.setattr(stage, "get_settings", lambda: line.settings)
    # Its guard would ask Airflow for the task that runs.
    publish = stage.publish.__wrapped__
    context = {"dag_run": SimpleNamespace(dag_id="record_alerts", run_id="one")}
    with pytest.raises(AirflowSkipException, match="no alert waits"):
        publish(context)
    champion, rules = ("fraud_detector_sparkov", 1), ("fraud_rules", 3)
    line.alert(_DATE, 0, model_name=champion[0])
    line.alert(_DATE, 3, 14, **_RULES)
    assert line.alert(_DATE, 3, rules_version=4) == 0
    line.run(_DAY)
    assert publish(context) == [f"sparkov@{_DAY}"]
    assert _published(line) == (0, None, None, _stream(p0=champion, p3=rules))
    assert stream_alerts.unpublished(line.settings) == {}

    # Payments 12 to 15 are scored and not loaded; of them 15 is an alert, as are 0, 5 and 10. The
    # build of another day takes up the alert of payment 7.
    line.lake.rows["sparkov", _DATE] = 16
    line.score(_DAY)
    line.alert(_DATE, 7, **_RULES)
    alerts = [*_batch(0, 5, 10), *_stream(p0=champion, p3=rules, p7=rules)]
    assert _scored(line, _NEXT) == (12, 12, 12, alerts)

    # The payments come after all: the day is built again.
    line.run(_DAY, rows={_DATE: 16})
    alerts = [*_batch(0, 5, 10, 15), *_stream(p0=champion, p3=rules, p7=rules, p14=rules)]
    assert _scored(line) == (16, 16, 16, alerts)


def test_an_alert_while_postgres_is_away_is_an_error_that_says_so(warehouse: Settings) -> None:
    away = warehouse.warehouse.model_copy(update={"port": 1})
    with pytest.raises(WarehouseLostError, match="Postgres was lost while stream_alerts"):
        stream_alerts.record(away.dsn("loader"), [])
