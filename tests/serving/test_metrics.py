"""The drift of the scores of a champion, as /metrics has it."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from ml import drift
from ml.artefact import Passport
from ml.champion import Champion
from ml.threshold import Bands
from serving.decision import Decision, ModelVersion
from serving.metrics import LEAST_SCORES, Metrics

SCORES = np.random.default_rng(7).beta(1, 20, size=LEAST_SCORES)
PASSPORT = Passport(Bands(0.1, 0.2, 0.9), {}, {}, date(2026, 6, 1), scores=drift.describe(SCORES))
CHAMPION = Champion("fraud_detector_sparkov", 3, None, PASSPORT)
LABELS = {"model": CHAMPION.name, "version": "3"}


def decision(score: float) -> Decision:
    values: dict[str, Any] = {
        **{"request_id": "r", "transaction_id": "t", "source_system": "sparkov"},
        **{"risk_level": "LOW", "recommendation": "APPROVE", "reason_codes": []},
        **{"rules_version": 1, "feature_list_version": "2", "features": {}, "degraded": False},
        **{"degraded_causes": [], "recorded": True, "duration_ms": 1.0},
    }
    model = ModelVersion(CHAMPION.name, CHAMPION.version)
    return Decision(risk_score=score, model=model, decided_at=datetime.now(UTC), **values)


def index_of(scores: Any, champion: Champion = CHAMPION) -> float | None:
    metrics = Metrics()
    for score in scores:
        metrics.decided(decision(float(score)), 0.01)
    metrics.drifted([champion])
    return metrics.registry.get_sample_value("tollgate_api_score_stability_index", LABELS)


def test_the_distribution_of_scores_is_stored_with_the_model() -> None:
    assert Passport.from_dict(json.loads(json.dumps(PASSPORT.to_dict()))) == PASSPORT


def test_scores_of_the_distribution_of_validation_have_no_drift() -> None:
    assert index_of(SCORES) == pytest.approx(0, abs=0.001)


def test_higher_scores_have_a_large_drift() -> None:
    assert (index_of(SCORES * 3) or 0) > 0.25


def test_few_scores_and_a_champion_without_a_distribution_have_no_index() -> None:
    assert index_of(SCORES[1:]) is None
    older = replace(CHAMPION, passport=replace(PASSPORT, scores=None))
    assert index_of(SCORES, older) is None


def test_scores_of_an_earlier_champion_do_not_count() -> None:
    assert index_of(SCORES, replace(CHAMPION, version=4)) is None
