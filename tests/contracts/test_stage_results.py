import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from contracts.results import Balance, ConservationError
from contracts.stage_results import (
    BuildResult,
    CandidateFigures,
    Difference,
    LandResult,
    LoadResult,
    PrepareResult,
    ProcessResult,
    RedrivenResult,
    RedriveResult,
    ResultFormError,
    ScoreResult,
    StagedTable,
    StageResult,
    TrainResult,
)
from contracts.windows import Window
from tests.stage_results import result_of

_DAY = "sparkov@2024-05-01"
_BALANCE = Balance("sparkov", "USD", 10, 9, 1, amount_in=Decimal("1.10"), amount_out=Decimal("1.1"))
_SHARED: dict[str, Any] = {
    "dates": (date(2024, 5, 1),),
    "snapshots": {"processed.transactions": 2**62},
    "balances": (_BALANCE,),
}
_REDRIVE = result_of(RedriveResult, _DAY, "r2", asked_for=("unknown_code",), outcomes=("1 row",))
_LANDED: dict[str, Any] = {
    **{"manifest": "m/1.json", "sequence": 1, "objects": 2, "new_objects": 1, "bytes": 12},
    "problems": ("a.csv: a Git-LFS pointer",),
}
_PROCESSED: dict[str, Any] = {"manifests": ("m",), "delivered_dates": (date(2024, 5, 2),)}
_DIFFERENCE = Difference("staging.labels", "2024-05-01 sparkov", "rows", "2", "1")
RESULTS: tuple[StageResult, ...] = (
    result_of(LandResult, _DAY, "r1", **_LANDED, **_SHARED),
    result_of(ProcessResult, _DAY, "r1", reasons={"unknown_code": 1}, **_PROCESSED, **_SHARED),
    _REDRIVE,
    result_of(RedrivenResult, _DAY, "r2", reasons={}, redrive=_REDRIVE, **_PROCESSED),
    result_of(PrepareResult, "sparkov@2024-05-01--2024-05-03", "r1", branch="audit_1", **_SHARED),
    result_of(
        LoadResult,
        _DAY,
        "r1",
        beside={"staging.labels": "staging.labels__1a2b3c4d"},
        tables={"staging.labels": StagedTable(7, 1, (date(2024, 5, 1),), (_DIFFERENCE,))},
    ),
    result_of(BuildResult, _DAY, "r1", variables={"dates": [["2024-05-01", "2024-05-01"]]}),
    result_of(
        TrainResult,
        _DAY,
        "r1",
        trained_at=datetime(2024, 5, 2, 3, 4, 5, 678901, UTC),
        promoted_at=None,
        metrics={"auc": 0.75, "rows_train": 900},
        candidates={"forest": CandidateFigures(0.5, 0.1, 0.9, None)},
    ),
    result_of(ScoreResult, _DAY, "r1", lost_inputs={"home_distance_km": 3}, **_SHARED),
)


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_a_result_survives_json(result: StageResult) -> None:
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert type(result).from_dict(plain) == result
    assert plain["stage"] == result.stage


def test_the_fields_of_a_stage_lie_apart_in_the_plain_form() -> None:
    """The run ledger holds this form, also that of earlier versions."""
    plain = RESULTS[0].to_dict()
    assert plain == {
        "stage": "land",
        "window": _DAY,
        "run_id": "r1",
        "dates": ["2024-05-01"],
        "snapshots": {"processed.transactions": 2**62},
        "branch": None,
        "balances": [
            {
                **{"source_system": "sparkov", "currency": "USD"},
                **{"rows_in": 10, "rows_out": 9, "rows_quarantined": 1, "rows_duplicate": 0},
                **{"amount_in": "1.10", "amount_out": "1.1", "amount_quarantined": "0.00"},
                **{"amount_duplicate": "0.00", "rows_restated": 0, "amount_restated": "0.00"},
            }
        ],
        "details": {
            **_LANDED,
            "problems": ["a.csv: a Git-LFS pointer"],
            "not_taken": [],
            "closed": False,
        },
    }


def test_a_redrive_within_a_result_has_the_same_form() -> None:
    plain = RESULTS[3].to_dict()
    assert plain["details"]["redrive"] == _REDRIVE.to_dict()
    # The next stages read it as they would the result of a whole run.
    assert ProcessResult.from_dict(plain).manifests == ("m",)


def test_a_result_of_an_earlier_version_is_read_without_what_it_said_besides() -> None:
    (loaded,) = (result for result in RESULTS if isinstance(result, LoadResult))
    plain = loaded.to_dict()
    plain["details"]["said_once"] = "before"
    plain["details"]["tables"]["staging.labels"]["beside"] = "staging.labels__1a2b3c4d"
    assert LoadResult.from_dict(plain) == loaded


def test_a_result_without_a_field_is_refused_in_a_sentence() -> None:
    plain = RESULTS[0].to_dict()
    del plain["details"]["manifest"]
    said = f"result of land run r1 over the window {_DAY} cannot be read: manifest. .*run the stage"
    with pytest.raises(ResultFormError, match=said):
        LandResult.from_dict(plain)


def test_a_result_of_a_version_without_dates_of_delivery_is_refused_in_a_sentence() -> None:
    processed, loaded = (RESULTS[number].to_dict() for number in (1, 5))
    del processed["details"]["delivered_dates"]
    del loaded["details"]["tables"]["staging.labels"]["dates"]
    with pytest.raises(ResultFormError, match=r"cannot be read: delivered_dates\. .*stage process"):
        ProcessResult.from_dict(processed)
    missing = r"cannot be read: tables\.staging\.labels\.dates\. .*run the stage load again"
    with pytest.raises(ResultFormError, match=missing):
        LoadResult.from_dict(loaded)


def test_a_window_that_is_none_is_refused_in_a_sentence() -> None:
    with pytest.raises(ResultFormError, match="cannot be read: window"):
        PrepareResult.from_dict({"window": "2024-05-01", "run_id": "r1"})


def test_each_balance_is_checked() -> None:
    lost = replace(_BALANCE, amount_out=Decimal("1.00"))
    result = PrepareResult(window=Window.parse(_DAY), run_id="r1", balances=(_BALANCE, lost))
    with pytest.raises(ConservationError, match=r"prepare does not balance .* 0\.10 of money"):
        result.check()
