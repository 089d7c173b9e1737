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
            " staging.feature_importances"
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
