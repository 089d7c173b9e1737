from datetime import date

import numpy as np

from ml import threshold
from ml.evaluate import ScoredPayments


def scored_payments(score: np.ndarray, fraud: np.ndarray) -> ScoredPayments:
    count = len(score)
    return ScoredPayments(
        score, fraud, np.ones(count), np.arange(count), np.full(count, date(2024, 7, 1))
    )


def test_alerts_stay_within_the_review_capacity() -> None:
    score = np.linspace(0.2, 0.9, 1000)
    bands = threshold.choose(scored_payments(score, score > 0.95))
    assert (score >= bands.high).sum() <= 20
    assert (score >= bands.high).sum() >= 19
    assert 38 <= (score >= bands.medium).sum() <= 40


def test_a_quiet_period_does_not_fill_the_capacity_with_noise() -> None:
    score = np.linspace(0, 0.001, 1000)
    bands = threshold.choose(scored_payments(score, np.zeros(1000, dtype=bool)))
    assert bands.high == threshold.MINIMUM_ALERT_SCORE
    assert bands.critical == 1.0


def test_declining_needs_precision_and_evidence() -> None:
    score = np.concatenate([np.linspace(0.8, 0.9, 30), np.full(2970, 0.01)])
    sure = scored_payments(score, score > 0.5)
    assert threshold.choose(sure).critical == 0.8
    doubtful = scored_payments(score, (score > 0.5) & (np.arange(3000) % 2 == 0))
    assert threshold.choose(doubtful).critical == 1.0
    few = scored_payments(score[11:], score[11:] > 0.5)
    assert threshold.choose(few).critical == 1.0


def test_a_score_on_the_edge_belongs_to_the_upper_band() -> None:
    bands = threshold.Bands(medium=0.1, high=0.3, critical=0.8)
    score = np.array([0.0, 0.0999, 0.1, 0.3, 0.8, 1.0])
    assert bands.levels(score) == ["low", "low", "medium", "high", "critical", "critical"]
    assert bands.decisions(score) == [
        "approve",
        "approve",
        "approve",
        "review",
        "decline",
        "decline",
    ]
