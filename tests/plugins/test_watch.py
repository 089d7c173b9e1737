"""The alert about windows that no stage takes further."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.stages import Stage
from contracts.windows import Window
from warehouse.waiting import WaitingWindow

pytestmark = pytest.mark.airflow


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the task's work over windows that wait, with active runs of some DAGs."""
    from tollgate_airflow import connections
    from tollgate_airflow.stages import watch

    monkeypatch.setattr(connections, "warehouse", lambda _: "dsn")

    def work(waiting: list[WaitingWindow], *active: str) -> Any:
        monkeypatch.setattr("warehouse.waiting.waiting_windows", lambda _: waiting)
        counted = SimpleNamespace(get_dr_count=lambda dag_id, states: int(dag_id in active))
        # Its guard would ask Airflow for the task that runs.
        return watch.find.__wrapped__({"ti": counted})

    return work


def _waiting(minutes: int, day: str = "2024-05-01") -> WaitingWindow:
    since = datetime.now(UTC) - timedelta(minutes=minutes)
    return WaitingWindow(Window.of("sparkov", day), Stage.LAND, since, Stage.PROCESS)


def test_no_window_waits(find: Any) -> None:
    assert find([]) == []


def test_a_window_that_waits_for_less_than_an_hour_is_listed(find: Any) -> None:
    window = _waiting(59)
    assert find([window]) == [str(window)]


def test_a_window_that_waits_for_an_hour_is_an_alert_with_the_remedy(find: Any) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException) as alert:
        find([_waiting(61), _waiting(5, "2024-05-02")])
    said = str(alert.value)
    assert "sparkov@2024-05-01 waits for process_transactions since " in said
    assert "run `make catch-up`" in said
    assert "2024-05-02" not in said


def test_a_dag_with_an_active_run_is_not_late(find: Any) -> None:
    window = _waiting(61)
    assert find([window], "process_transactions") == [str(window)]


def test_an_alert_names_the_first_windows_and_counts_the_others(find: Any) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=r"; and 2 more\."):
        find([_waiting(120 - n, f"2024-05-0{n + 1}") for n in range(7)])
