"""One small window through a real Airflow, and windows that cannot run."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from contracts.assets import DAG_OF_STAGE
from contracts.settings import Settings
from contracts.stages import Stage
from contracts.windows import Window
from demo.follow import StageFailedError
from tests.demo.reckoning import Day, reckon
from tests.demo.watched import Watched, watched_line

DAY = Window.parse("sparkov@2024-06-30")

pytestmark = [pytest.mark.airflow, pytest.mark.stack, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def watched(platform: Settings) -> Iterator[Watched]:
    """Send a day through the line; starting all services of the platform takes a minute."""
    with watched_line(platform) as made:
        made.scored = made.line.window(DAY)
        made.line.finish()
        yield made


@pytest.fixture(scope="module")
def expected(watched: Watched) -> dict[str, Day]:
    """Count the same day with pandas alone."""
    folder = watched.settings.data_dir / "sparkov" / "transactions"
    return reckon(folder, DAY.span, DAY.span)


def test_every_payment_reaches_production_to_the_cent(
    watched: Watched, expected: dict[str, Day]
) -> None:
    """Slow, as the first of the module: a whole platform starts and runs a day."""
    counted = {day: (e.rows, e.amount, e.customers) for day, e in expected.items()}
    assert watched.payments(DAY.span) == counted


def test_every_fraud_has_its_label(watched: Watched, expected: dict[str, Day]) -> None:
    counted = {day: (e.frauds, e.rows) for day, e in expected.items()}
    assert watched.labels(DAY.span) == counted


def test_the_daily_report_agrees(watched: Watched, expected: dict[str, Day]) -> None:
    reported = watched.reported(DAY.span)
    counted = {day: (e.rows, e.amount, e.customers) for day, e in expected.items()}
    assert {day: values[:3] for day, values in reported.items()} == counted
    known = sum(frauds for *_, frauds in reported.values())
    assert 0 <= known <= sum(e.frauds for e in expected.values())


def test_no_direct_identifier_leaves_raw(watched: Watched) -> None:
    import pandas as pd

    file = watched.settings.data_dir / "sparkov" / "transactions" / "2024-06-30.parquet"
    raw = pd.read_parquet(file)
    known = {str(v) for name in ("acct_num", "cc_num", "ssn") for v in raw[name]}
    found = watched.ask(
        "select customer_id, instrument_id from production.fct_transactions"
        " where event_date = '2024-06-30'"
    )
    assert not known & {value for row in found for value in row.values()}


def test_scoring_waits_for_a_champion(watched: Watched) -> None:
    assert not watched.scored
    assert "skipped: no champion yet" in watched.said


def test_the_docs_are_there(watched: Watched) -> None:
    docs = watched.settings.state_dir / "docs"
    assert "fct_transactions" in (docs / "dbt" / "index.html").read_text()
    assert (docs / "gx" / "index.html").exists()


def test_a_window_that_was_not_delivered_is_a_clear_error(watched: Watched) -> None:
    with pytest.raises(StageFailedError, match="has not delivered"):
        watched.line.by_hand(Stage.LAND, Window.parse("sparkov@2031-01-01"))


def test_a_window_that_never_landed_is_a_clear_error(watched: Watched) -> None:
    with pytest.raises(
        StageFailedError, match="no run of stage land over window sparkov@2024-08-30"
    ):
        watched.line.by_hand(Stage.PROCESS, Window.parse("sparkov@2024-08-30"))


def test_a_malformed_window_never_starts(watched: Watched) -> None:
    malformed: Any = SimpleNamespace(source="sparkov", span="last tuesday")
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        watched.line.client.trigger(DAG_OF_STAGE[Stage.LAND], malformed)
