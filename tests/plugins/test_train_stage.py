"""The alias of the champion moves after the evidence is on record, and not before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from contracts.stage_results import TrainResult
from tests.stage_results import result_of

pytestmark = pytest.mark.airflow


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a name on a list in place of each step of the stage."""
    from contracts.results import CheckResult, GateResult
    from tollgate_airflow import connections, handover
    from tollgate_airflow.stages import train as stage

    done: list[str] = []
    result = result_of(TrainResult, "sparkov@2024-05-01", "train_1", snapshots={})
    gate = GateResult("model", result.window, "train_1", (CheckResult("c", "t", "critical", True),))

    def step(name: str, value: Any = None) -> Any:
        def called(*_: Any, **__: Any) -> Any:
            done.append(name)
            return value

        return called

    for target, name, value in (
        ("lake.catalog.open_catalog", "open", SimpleNamespace(close=lambda: None)),
        ("ml.jobs.train.train", "train", (result, gate)),
        ("lake.tags.tag_snapshots", "tag", None),
        ("warehouse.ledger.record_gate", "gate", None),
        ("warehouse.model_registry_export.record_model", "model", None),
        ("ml.tracking.connect", "connect", None),
        ("ml.register.promote", "promote", None),
    ):
        monkeypatch.setattr(target, step(name, value))
    monkeypatch.setattr(handover, "record", step("ledger"))
    monkeypatch.setattr(handover, "previous", lambda *_: SimpleNamespace(snapshots={}))
    monkeypatch.setattr(connections, "warehouse", lambda _: "dsn")
    monkeypatch.setattr(stage, "belongs_to", lambda _: None)
    return done


def _write() -> None:
    from tollgate_airflow.stages import train as stage

    run = SimpleNamespace(
        dag_id="train_fraud_model",
        run_id="manual__1",
        partition_key=None,
        start_date=None,
        triggering_user_name=None,
    )
    params = {"source": "sparkov", "window": "2024-05-01"}
    # The work itself: its guard asks Airflow for the task that runs.
    stage.write.__wrapped__({"dag_run": run, "params": params})


def test_the_champion_alias_moves_last(steps: list[str]) -> None:
    _write()
    assert [step for step in steps if step not in ("open", "connect")] == [
        *("train", "tag", "gate", "model", "ledger", "promote"),
    ]


@pytest.mark.parametrize(
    "away", ["warehouse.ledger.record_gate", "tollgate_airflow.handover.record"]
)
def test_an_unavailable_database_does_not_change_the_champion(
    steps: list[str], monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    def fail(*_: Any) -> None:
        raise psycopg.OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(away, fail)
        with pytest.raises(psycopg.OperationalError):
            _write()
    assert "promote" not in steps
    _write()
    assert steps[-1] == "promote"
