"""The gate of the scores."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts.render import to_arrow
from contracts.results import GateResult
from contracts.stage_results import ScoreResult
from contracts.tables import TABLES
from contracts.windows import Window
from expectations.scores import evaluate_scores
from tests.stage_results import result_of

DAY = date(2024, 8, 30)
ROWS = 400
SCHEMA = to_arrow.schema(TABLES["staging.scores"])
SCORED = result_of(
    ScoreResult,
    f"sparkov@{DAY}",
    "score_1",
    dates=(DAY,),
    snapshots={"sandbox.features": 7},
    model_version=3,
)
FEATURED = pa.table(
    {"source_system": ["sparkov"] * ROWS, "event_id": [f"{n:032x}" for n in range(ROWS)]}
)


def _row(number: int, **given: Any) -> dict[str, Any]:
    return {
        "event_id": f"{number:032x}",
        "source_system": "sparkov",
        "event_date": DAY,
        "model_name": "fraud_detector_sparkov",
        "model_version": 3,
        "feature_list_version": "1",
        "feature_snapshot_id": 7,
        "score": number / ROWS,
        "risk_level": "high" if number >= 390 else "low",
        "decision": "review" if number >= 390 else "approve",
        "reason_codes": ["AMOUNT"] if number >= 390 else [],
        "reason_sentences": ["The amount is high."] if number >= 390 else [],
        "scored_at": datetime(2024, 8, 31, tzinfo=UTC),
        "run_id": "score_1",
        **given,
    }


def _scores(*numbers: int, **given: Any) -> pa.Table:
    rows = numbers or range(ROWS)
    return pa.Table.from_pylist([_row(number, **given) for number in rows], SCHEMA)


_NARROW = _scores().set_column(7, "score", _scores()["score"].cast("float32"))


def _failed(result: GateResult) -> set[str]:
    return {check.name for check in result.checks if not check.passed}


def test_a_batch_of_scores_passes(tmp_path: Path) -> None:
    result = evaluate_scores(SCORED, _scores(), FEATURED, tmp_path)
    assert result.passed
    assert not _failed(result)


@pytest.mark.parametrize(
    ("scores", "check"),
    [
        (_scores(*range(399)), "scores.batch.rows_scored.equals_rows_featured"),
        (_scores(*range(ROWS), 0), "scores.table.key_unique"),
        (_scores(*range(ROWS), 999), "scores.batch.rows_not_featured.at_most"),
        (_scores(score=1.5), "scores.score.between"),
        (_scores(score=0.5), "scores.batch.distinct_scores.not_constant"),
        (_scores(decision="decline"), "scores.batch.alert_share.at_most"),
        (_scores(decision="perhaps"), "scores.decision.in_set"),
        (_scores(model_version=2), "scores.batch.rows_of_other_model.at_most"),
        (_scores(feature_snapshot_id=6), "scores.batch.rows_of_other_snapshot.at_most"),
        (_scores(score=None), "scores.score.not_null"),
        (_scores().slice(0, 0), "scores.batch.rows_scored.equals_rows_featured"),
        (_NARROW, "scores.types.stored_type.equals_declared_type"),
        (_scores().drop_columns(["decision"]), "scores.table.columns"),
    ],
)
def test_a_fault_closes_the_gate(scores: pa.Table, check: str, tmp_path: Path) -> None:
    result = evaluate_scores(SCORED, scores, FEATURED, tmp_path)
    assert not result.passed
    assert check in _failed(result)


def test_dates_without_a_payment_pass_with_no_score(tmp_path: Path) -> None:
    result = evaluate_scores(SCORED, _scores().slice(0, 0), FEATURED.slice(0, 0), tmp_path)
    assert result.passed


def test_many_alerts_are_a_warning_before_they_are_a_failure(tmp_path: Path) -> None:
    busy = pa.Table.from_pylist(
        [_row(n, decision="review" if n >= 350 else "approve") for n in range(ROWS)], SCHEMA
    )
    result = evaluate_scores(SCORED, busy, FEATURED, tmp_path)
    assert result.passed
    assert _failed(result) == {"scores.batch.alert_share.plausible"}


def test_each_source_has_its_own_usual_share_of_alerts(tmp_path: Path) -> None:
    scored = replace(SCORED, window=Window("handbook", DAY, DAY))
    rows = [
        _row(n, source_system="handbook", decision="review" if n >= 380 else "approve")
        for n in range(ROWS)
    ]
    featured = FEATURED.set_column(0, "source_system", pa.array(["handbook"] * ROWS))
    result = evaluate_scores(scored, pa.Table.from_pylist(rows, SCHEMA), featured, tmp_path)
    assert _failed(result) == {"scores.batch.alert_share.plausible"}


def test_an_input_that_the_batch_lost_closes_the_gate(tmp_path: Path) -> None:
    lost = replace(SCORED, lost_inputs={"home_distance_km": ROWS})
    result = evaluate_scores(lost, _scores(), FEATURED, tmp_path)
    assert not result.passed
    (check,) = (check for check in result.checks if not check.passed)
    assert check.name == "features.inputs.rows_without.between"
    assert "home_distance_km" in (check.observed or "")


def test_a_single_payment_has_a_single_score(tmp_path: Path) -> None:
    result = evaluate_scores(SCORED, _scores(0), FEATURED.slice(0, 1), tmp_path)
    assert result.passed


def test_drift_is_checked_as_a_table(tmp_path: Path) -> None:
    schema = to_arrow.schema(TABLES["staging.feature_drift"])
    line = {
        "event_date": DAY,
        "source_system": "sparkov",
        "model_name": "fraud_detector_sparkov",
        "model_version": 3,
        "feature_name": "amount",
        "transaction_count": ROWS,
        # Far from training, which is recorded and closes no gate.
        "stability_index": 4.2,
        "feature_mean": None,
        "training_mean": 1.0,
        "null_share": 1.0,
        "training_null_share": 0.0,
        "run_id": "score_1",
    }
    drift = pa.Table.from_pylist([line], schema)
    assert evaluate_scores(SCORED, _scores(), FEATURED, tmp_path, drift).passed
    twice = pa.Table.from_pylist([line, {**line, "null_share": 1.5}], schema)
    result = evaluate_scores(SCORED, _scores(), FEATURED, tmp_path, twice)
    assert {"feature_drift.table.key_unique", "feature_drift.null_share.between"} <= _failed(result)
