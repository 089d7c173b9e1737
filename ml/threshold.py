"""Where a score becomes an alert: risk bands from a validation fold and the review capacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.columns import RISK_LEVELS
from ml.evaluate import REVIEW_SHARE, ScoredPayments

MINIMUM_ALERT_SCORE: Final = 0.10
"""Minimum share of frauds among alerts, independent of the review capacity."""
WATCH_FACTOR: Final = 2
"""The medium band has the payments that would be reviewed next if capacity doubled."""
DECLINE_PRECISION: Final = 0.95
"""A payment is declined without a human only if at most one in twenty such is legitimate."""
DECLINE_EVIDENCE: Final = 20
"""Fewer validation payments than this prove no such precision."""
DECISION_OF_LEVEL: Final = ("approve", "approve", "review", "decline")


@dataclass(frozen=True)
class Bands:
    """The lowest score of each band above low. `high` is the deployed threshold."""

    medium: float
    high: float
    critical: float

    def index(self, score: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the position of each score's band in `RISK_LEVELS`."""
        return np.digitize(score, [self.medium, self.high, self.critical]).astype(np.int64)

    def levels(self, score: npt.NDArray[np.float64]) -> list[str]:
        """Return the risk level of each score."""
        return [RISK_LEVELS[index] for index in self.index(score)]

    def decisions(self, score: npt.NDArray[np.float64]) -> list[str]:
        """Return the recommended decision for each score."""
        return [DECISION_OF_LEVEL[index] for index in self.index(score)]


def choose(validation: ScoredPayments) -> Bands:
    """Set the bands so that reviewers can handle the alerts of a period like `validation`.

    high: the `REVIEW_SHARE` highest scores, but never below `MINIMUM_ALERT_SCORE`. medium:
    `WATCH_FACTOR` times as many. critical: the lowest score above `high` from which on at least
    `DECLINE_PRECISION` of at least `DECLINE_EVIDENCE` payments were fraud; 1 when there is none.
    """
    score = validation.score

    def exceeded_by(share: float) -> float:
        return float(np.quantile(score, 1 - min(share, 1.0), method="higher"))

    high = max(exceeded_by(REVIEW_SHARE), MINIMUM_ALERT_SCORE)
    medium = min(high, max(exceeded_by(WATCH_FACTOR * REVIEW_SHARE), MINIMUM_ALERT_SCORE / 5))
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    count = np.arange(1, len(ranked) + 1)
    precise = np.cumsum(validation.is_fraud[order]) / count >= DECLINE_PRECISION
    last_of_tie = np.append(ranked[1:] < ranked[:-1], True)
    sure = ranked[precise & last_of_tie & (count >= DECLINE_EVIDENCE) & (ranked >= high)]
    return Bands(medium=medium, high=high, critical=float(sure.min()) if len(sure) else 1.0)
