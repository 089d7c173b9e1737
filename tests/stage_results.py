"""Results of stages for tests that care about a few of their fields."""

from datetime import UTC, date, datetime
from typing import Any, Final, TypeVar

from contracts.stage_results import (
    BuildResult,
    LoadResult,
    ProcessResult,
    ScoreResult,
    StageResult,
    TrainResult,
)
from contracts.windows import Window

_R = TypeVar("_R", bound=StageResult)
_AT: Final = datetime(2024, 5, 1, tzinfo=UTC)
_MODEL: Final = {
    "model_name": "fraud_detector_sparkov",
    "model_version": 1,
    "feature_list_version": "2",
    "unused_features": (),
    "seconds": 1.5,
}
_REST: Final[dict[type[StageResult], dict[str, Any]]] = {
    ProcessResult: {"manifests": (), "reasons": {}, "delivered_dates": ()},
    LoadResult: {"beside": {}, "tables": {}},
    BuildResult: {
        "layer": "core",
        "as_of": date(2024, 5, 1),
        "models": 0,
        "tests": 0,
        "variables": {},
    },
    TrainResult: _MODEL
    | {
        "promoted": True,
        "promoted_at": _AT,
        "verdict_reason": "there is no champion yet",
        "refused_because": (),
        "candidate": "xgboost",
        "candidates": {},
        "metrics": {},
        "importances": {},
        "mlflow_run_id": "none",
        "code_version": "unknown",
        "trained_at": _AT,
        "as_of": _AT,
        "rows_unlabelled": 0,
    },
    ScoreResult: _MODEL
    | {"lost_inputs": {}, "threshold": 0.5, "rows": 0, "alerts": 0, "risk_levels": {}},
}


def result_of(kind: type[_R], window: str, run_id: str, **given: Any) -> _R:
    """Return a result with what a test says of it, and plain values for its other fields."""
    return kind(window=Window.parse(window), run_id=run_id, **{**_REST.get(kind, {}), **given})
