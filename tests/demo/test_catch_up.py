"""Windows that wait between two DAGs are listed and resumed, each once."""

from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import pytest

from contracts.settings import Settings
from contracts.stages import Stage
from contracts.windows import Window
from demo import catch_up
from warehouse.waiting import WaitingWindow

_SINCE = datetime(2024, 5, 2, 7, 30, tzinfo=UTC)
_ONE = WaitingWindow(Window.parse("sparkov@2024-05-01"), Stage.LAND, _SINCE, Stage.PROCESS)
_TWO = WaitingWindow(Window.parse("handbook@2024-05-01"), Stage.LOAD, _SINCE, Stage.BUILD)


class _Airflow:
    """Airflow with a run of the first window, and a paused DAG."""

    def __init__(self, _: Settings) -> None:
        self.triggered: list[tuple[str, str]] = []

    def __enter__(self) -> "_Airflow":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None
    ) -> None:
        pass

    def active_windows(self, dag_id: str) -> set[str]:
        return {"sparkov@2024-05-01"} if dag_id == "process_transactions" else set()

    def is_paused(self, dag_id: str) -> bool:
        return dag_id == "build_production"

    def trigger(self, dag_id: str, window: Window) -> None:
        self.triggered.append((dag_id, window.key))


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> _Airflow:
    made = _Airflow(Settings.model_construct())
    monkeypatch.setattr(catch_up, "AirflowClient", lambda _: made)
    return made


def _catch_up(
    monkeypatch: pytest.MonkeyPatch, *waiting: WaitingWindow, dry_run: bool = False
) -> list[str]:
    monkeypatch.setattr(catch_up.waiting, "waiting_windows", lambda _: list(waiting))
    warehouse: Any = type("Warehouse", (), {"dsn": lambda self, role: role})()
    return catch_up.catch_up(Settings.model_construct(warehouse=warehouse), dry_run=dry_run)


def test_nothing_waits(monkeypatch: pytest.MonkeyPatch, airflow: _Airflow) -> None:
    assert _catch_up(monkeypatch) == ["No window waits."]


def test_a_dry_run_triggers_nothing(monkeypatch: pytest.MonkeyPatch, airflow: _Airflow) -> None:
    assert _catch_up(monkeypatch, _ONE, _TWO, dry_run=True) == [str(_ONE), str(_TWO)]
    assert airflow.triggered == []


def test_a_window_is_resumed_unless_it_has_an_active_run(
    monkeypatch: pytest.MonkeyPatch, airflow: _Airflow
) -> None:
    assert _catch_up(monkeypatch, _ONE, _TWO) == [
        "sparkov@2024-05-01 waits for process_transactions since 2024-05-02 07:30 UTC, when stage"
        " land finished: has an active run",
        "handbook@2024-05-01 waits for build_production since 2024-05-02 07:30 UTC, when stage load"
        " finished: triggered, which waits until build_production is unpaused",
    ]
    assert airflow.triggered == [("build_production", "handbook@2024-05-01")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--undo"], "name the window with --abandon"),
        (["--reason", "no"], "name the window with --abandon"),
        (["--abandon", "sparkov@2024-05-01"], "give the reason: --reason"),
    ],
)
def test_to_abandon_needs_a_window_and_a_reason(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit):
        catch_up.main(arguments)
    assert sentence in capsys.readouterr().err
