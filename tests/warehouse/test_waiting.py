"""Windows that passed a stage and wait for the next: none is missed, none that went on is named."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from contracts.assets import DAG_OF_STAGE
from contracts.results import Balance
from contracts.settings import Settings
from contracts.stage_results import (
    BuildResult,
    LandResult,
    LoadResult,
    PrepareResult,
    ProcessResult,
    ScoreResult,
    StageResult,
    TrainResult,
)
from contracts.stages import WINDOW_STAGES, Stage
from demo import catch_up as command
from tests.stage_results import result_of
from warehouse import ledger, model_registry_export
from warehouse.waiting import WaitingWindow, waiting_windows

pytestmark = pytest.mark.postgres
_NOON = datetime(2024, 5, 9, 12, tzinfo=UTC)
_DAY, _SHOP = "sparkov@2024-05-01", "handbook@2024-05-01--2024-05-02"
_LANDED = {
    "manifest": "m", "sequence": 1, "objects": 1, "new_objects": 1, "bytes": 1, "problems": (),
    "balances": (Balance("sparkov", "USD", rows_in=2, rows_out=2),),
}  # fmt: skip
_CLOSED = {**_LANDED, "balances": (Balance("sparkov", "XXX", rows_in=0, rows_out=0),)}
_KINDS: dict[Stage, type[StageResult]] = {
    Stage.LAND: LandResult,
    Stage.PROCESS: ProcessResult,
    Stage.PREPARE: PrepareResult,
    Stage.LOAD: LoadResult,
    Stage.BUILD: BuildResult,
    Stage.SCORE: ScoreResult,
}


@pytest.fixture
def dsn(warehouse: Settings) -> Iterator[str]:
    """Return a login to an empty ledger."""
    login = warehouse.warehouse.dsn("loader")
    yield login
    with psycopg.connect(login) as connection:
        connection.execute(
            "truncate staging.run_ledger, staging.run_balances, staging.model_versions,"
            " staging.feature_importances, staging.abandoned_windows"
        )


def _finish(
    dsn: str, window: str, stage: Stage, minutes: int, landed: dict[str, Any] = _LANDED
) -> None:
    given: dict[str, Any] = landed if stage is Stage.LAND else {}
    at = _NOON + timedelta(minutes=minutes)
    result = result_of(_KINDS[stage], window, f"{stage} {window} {minutes}", **given)
    ledger.record(dsn, result, at, at)


def _pass(dsn: str, window: str, last: Stage, minutes: int = 0) -> None:
    for number, stage in enumerate(WINDOW_STAGES[: WINDOW_STAGES.index(last) + 1]):
        _finish(dsn, window, stage, minutes + number)


def _waiting(dsn: str) -> list[tuple[str, Stage]]:
    return [(found.window.key, found.stage) for found in waiting_windows(dsn)]


def test_an_empty_ledger_has_no_window_that_waits(dsn: str) -> None:
    assert waiting_windows(dsn) == []


@pytest.mark.parametrize("last", WINDOW_STAGES[:-2])
def test_a_window_waits_for_the_stage_after_its_last(dsn: str, last: Stage) -> None:
    _pass(dsn, _DAY, last)
    _pass(dsn, _SHOP, Stage.BUILD)
    (found,) = waiting_windows(dsn)
    following = WINDOW_STAGES[WINDOW_STAGES.index(last) + 1]
    since = _NOON + timedelta(minutes=WINDOW_STAGES.index(last))
    assert found == WaitingWindow(found.window, last, since, following)
    assert str(found) == (
        f"{_DAY} waits for {DAG_OF_STAGE[following]} since {since:%Y-%m-%d %H:%M} UTC,"
        f" when stage {last} finished"
    )


def test_a_window_that_landed_again_waits_again(dsn: str) -> None:
    _pass(dsn, _DAY, Stage.BUILD)
    _finish(dsn, _DAY, Stage.LAND, 60)
    assert _waiting(dsn) == [(_DAY, Stage.PROCESS)]
    _finish(dsn, _DAY, Stage.PROCESS, 61)
    assert _waiting(dsn) == [(_DAY, Stage.PREPARE)]
    for number, stage in enumerate((Stage.PREPARE, Stage.LOAD, Stage.BUILD)):
        _finish(dsn, _DAY, stage, 62 + number)
    assert _waiting(dsn) == []


def test_a_closed_window_waits_for_no_stage_until_it_has_rows(dsn: str) -> None:
    _finish(dsn, _DAY, Stage.LAND, 0, _CLOSED)
    assert _waiting(dsn) == []
    _finish(dsn, _DAY, Stage.LAND, 1)
    assert _waiting(dsn) == [(_DAY, Stage.PROCESS)]


def test_windows_come_with_the_longest_wait_first(dsn: str) -> None:
    _pass(dsn, _DAY, Stage.LAND, minutes=5)
    _pass(dsn, _SHOP, Stage.PROCESS)
    assert _waiting(dsn) == [(_SHOP, Stage.PREPARE), (_DAY, Stage.PROCESS)]


def test_scores_are_expected_once_the_source_has_a_champion(dsn: str) -> None:
    _pass(dsn, _DAY, Stage.BUILD)
    _pass(dsn, _SHOP, Stage.BUILD)
    promoted_at = _NOON + timedelta(hours=1)
    metrics = {"rows_train": 900.0, "frauds_train": 9.0, "threshold": 0.5}
    trained = result_of(TrainResult, _DAY, "train", promoted_at=promoted_at, metrics=metrics)
    model_registry_export.record_model(dsn, trained)
    assert _waiting(dsn) == [], "built before there was a champion"
    _finish(dsn, _DAY, Stage.BUILD, 90)
    _finish(dsn, _SHOP, Stage.BUILD, 90)
    assert _waiting(dsn) == [(_DAY, Stage.SCORE)], "the other source has no champion"
    _finish(dsn, _DAY, Stage.SCORE, 91)
    assert _waiting(dsn) == []


def test_an_abandoned_window_waits_no_longer_until_it_moves_or_is_undone(
    dsn: str,
    warehouse: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "load_settings", lambda: warehouse)

    def says(*arguments: str, fails: bool = False) -> str:
        assert command.main(["--abandon", _DAY, *arguments]) == int(fails)
        printed = capsys.readouterr()
        return (printed.err if fails else printed.out).strip()

    assert "waits for no stage: there is nothing to abandon" in says("--reason", "r", fails=True)
    assert "is not abandoned: there is nothing to undo" in says("--undo", fails=True)
    _finish(dsn, _DAY, Stage.LAND, 0)
    _finish(dsn, _SHOP, Stage.LAND, 1)
    sentence = str(waiting_windows(dsn)[0])

    assert says("--dry-run") == f"{sentence}: would be abandoned"
    assert len(_waiting(dsn)) == 2
    assert says("--reason", "sent by mistake") == f"{sentence}: abandoned"
    assert _waiting(dsn) == [(_SHOP, Stage.PROCESS)]
    assert "there is nothing to abandon" in says("--reason", "again", fails=True)

    assert says("--undo", "--dry-run") == f"{_DAY} would wait again"
    assert len(_waiting(dsn)) == 1
    assert says("--undo") == f"{_DAY} waits again"
    assert len(_waiting(dsn)) == 2

    says("--reason", "sent by mistake after all")
    years_after = 60 * 24 * 365 * 100
    _finish(dsn, _DAY, Stage.LAND, years_after)
    assert _waiting(dsn) == [(_SHOP, Stage.PROCESS), (_DAY, Stage.PROCESS)]
    with psycopg.connect(dsn) as connection:
        recorded = connection.execute(
            "select window_key, abandonment_reason, abandoned_by = undone_by"
            " from staging.abandoned_windows order by abandoned_at"
        ).fetchall()
    assert recorded == [
        (_DAY, "sent by mistake", True),
        (_DAY, "sent by mistake after all", None),
    ]
