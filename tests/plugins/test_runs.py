from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.stages import Stage
from contracts.windows import Window, WindowError

pytestmark = pytest.mark.airflow

STARTED = datetime(2024, 9, 1, 12, tzinfo=UTC)


def context(
    partition_key: str | None,
    window: str | None,
    run_id: str = "manual__1",
    dag_id: str = "process_transactions",
    source: str = "sparkov",
) -> Any:
    """Return what a run is read from."""
    return {
        "dag_run": SimpleNamespace(
            dag_id=dag_id,
            run_id=run_id,
            partition_key=partition_key,
            start_date=STARTED,
            triggering_user_name="operator",
        ),
        "params": {"source": source, "window": window},
    }


def test_the_partition_key_names_the_window() -> None:
    from tollgate_airflow.runs import Run

    run = Run.of(Stage.PROCESS, context("handbook@2024-05-01--2024-08-29", None))
    assert (run.window.key, run.started_at) == ("handbook@2024-05-01--2024-08-29", STARTED)


def test_the_key_of_a_schedule_takes_its_source_from_the_parameter() -> None:
    from tollgate_airflow.runs import Run

    day = "2024-05-01"
    for dag_id, source in (
        ("land_transactions", "sparkov"),
        ("land_transactions_handbook", "handbook"),
    ):
        run = Run.of(Stage.LAND, context(day, None, dag_id=dag_id, source=source))
        assert run.window == Window.of(source, day)


def test_a_backfill_of_a_source_in_the_dag_of_another_is_refused() -> None:
    """Airflow would skip the dates that this DAG has run for its own source."""
    from tollgate_airflow.runs import Run

    given: Any = {"dag_id": "land_transactions", "source": "handbook"}
    with pytest.raises(WindowError, match="with the DAG land_transactions_handbook"):
        Run.of(Stage.LAND, context("2024-05-01", None, **given))
    by_hand = Run.of(Stage.LAND, context(None, "2024-05-01", **given))
    assert by_hand.window.key == "handbook@2024-05-01"


def test_a_window_given_manually_takes_precedence() -> None:
    from tollgate_airflow.runs import Run

    run = Run.of(Stage.PROCESS, context("handbook@2024-05-01", "2024-05-02"))
    assert run.window.key == "sparkov@2024-05-02"


def test_a_missing_window_is_a_clear_error() -> None:
    from tollgate_airflow.runs import Run

    with pytest.raises(WindowError, match="set the parameter `window`"):
        Run.of(Stage.PROCESS, context(None, None))


def test_the_default_source_is_used_when_none_is_given() -> None:
    from tollgate_airflow.runs import Run

    day = Window.parse("sparkov@2024-05-03")
    assert Run.of(Stage.TRAIN, context(None, None), default=day).window == day


@pytest.mark.parametrize("text", ["yesterday", "2024-02-30", "2024-05-02--2024-05-01"])
def test_a_malformed_window_is_a_clear_error(text: str) -> None:
    from tollgate_airflow.runs import Run

    with pytest.raises(WindowError):
        Run.of(Stage.PROCESS, context(None, text))


def test_the_run_id_is_stable_unique_and_valid_in_names() -> None:
    from tollgate_airflow.runs import Run

    window = "2024-05-01--2024-08-29"
    first = Run.of(Stage.PROCESS, context(window, None)).run_id
    again = Run.of(Stage.PROCESS, context(window, None)).run_id
    other = Run.of(Stage.PROCESS, context(window, None, run_id="manual__2")).run_id
    assert first == again != other
    assert first.startswith("process_sparkov_20240501_20240829_")
    assert first.replace("_", "").isalnum()
    assert first == first.lower()
