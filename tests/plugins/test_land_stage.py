"""What follows gate raw: the window for the next stage, or nothing for a closed window."""

from datetime import date
from typing import Any

import pytest

from contracts.stage_results import LandResult
from contracts.windows import Window

pytestmark = pytest.mark.airflow

DAY = Window.parse("sparkov@2024-12-25")


def landed(closed: bool) -> dict[str, Any]:
    return LandResult(
        window=DAY,
        run_id="r1",
        dates=(date(2024, 12, 25),),
        manifest="m",
        sequence=1,
        objects=0,
        new_objects=0,
        bytes=0,
        problems=(),
        closed=closed,
    ).to_dict()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let gate raw pass without a store, and return what is recorded."""
    from tollgate_airflow.runs import Run
    from tollgate_airflow.stages import land as stage

    recorded: list[Any] = []
    run = type("Run", (), {"window": DAY, "run_id": "r1"})
    monkeypatch.setattr(Run, "of", lambda *_: run)
    monkeypatch.setattr("expectations.gates.gate_raw", lambda *_: None)
    monkeypatch.setattr(stage.connections, "s3", lambda _: None)
    monkeypatch.setattr(stage.raw, "manifests", lambda *_: [])
    monkeypatch.setattr(stage.gates, "require_passed", lambda _: None)
    monkeypatch.setattr(stage.handover, "record", lambda _, result: recorded.append(result))
    return recorded


def test_a_window_with_payments_goes_to_the_next_stage(recorded: list[Any]) -> None:
    from tollgate_airflow.stages import land as stage

    assert stage.gate({}, landed(closed=False)) == DAY.key
    assert len(recorded) == 1


def test_a_closed_window_is_recorded_and_skipped_with_a_reason(recorded: list[Any]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from tollgate_airflow.stages import land as stage

    with pytest.raises(
        AirflowSkipException, match="sparkov@2024-12-25 is closed: its days are declared"
    ):
        stage.gate({}, landed(closed=True))
    assert len(recorded) == 1
