"""Metrics of the decision API for Prometheus."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ml.champion import Champion
from ml.drift import stability_index
from serving.decision import Decision, ModelVersion

MOST_SCORES: Final = 10_000
LEAST_SCORES: Final = 1_000
"""Scores of which an index of drift is computed: fewer ones have an index without a shift."""
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """What one process of the API has answered."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = Counter(
            "tollgate_api_decisions",
            "Decisions by risk level and recommendation.",
            ["risk_level", "recommendation"],
            registry=self.registry,
        )
        self.degraded = Counter(
            "tollgate_api_degraded",
            "Decisions by rules alone, by the part that was away.",
            ["part"],
            registry=self.registry,
        )
        self.not_in_store = Counter(
            "tollgate_api_not_in_store",
            "Decided payments that Redis did not take: later decisions know them after a fill.",
            registry=self.registry,
        )
        self.repeats = Counter(
            "tollgate_api_repeats",
            "Requests for a payment that was decided before, which got the same answer.",
            registry=self.registry,
        )
        self.refused = Counter(
            "tollgate_api_refused",
            "Requests without a valid payment, by status.",
            ["status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "tollgate_api_decision_seconds",
            "Seconds from the arrival of a request to its decision.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.scores = Histogram(
            "tollgate_api_risk_score",
            "Scores of the champion.",
            buckets=(0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
            registry=self.registry,
        )

        self.drift = Gauge(
            "tollgate_api_score_stability_index",
            f"Population stability index of the last {MOST_SCORES:,} scores of a champion against"
            " those of its validation: above 0.25 is a large shift.",
            ["model", "version"],
            registry=self.registry,
        )
        self._scores: defaultdict[ModelVersion, deque[float]] = defaultdict(
            lambda: deque(maxlen=MOST_SCORES)
        )

    def decided(self, decision: Decision, seconds: float) -> None:
        """Count a decision."""
        self.decisions.labels(decision.risk_level, decision.recommendation).inc()
        self.seconds.observe(seconds)
        if decision.risk_score is not None and decision.model is not None:
            self.scores.observe(decision.risk_score)
            self._scores[decision.model].append(decision.risk_score)

    def drifted(self, champions: Iterable[Champion]) -> None:
        """Compute the drift of the scores of champions, and forget those of earlier ones."""
        used = {ModelVersion(one.name, one.version): one.passport.scores for one in champions}
        for model in list(self._scores):  # a copy, since decisions are made meanwhile
            if model not in used:
                self._scores.pop(model)
        self.drift.clear()
        for model, expected in used.items():
            scores = list(self._scores.get(model, ()))
            if expected is not None and len(scores) >= LEAST_SCORES:
                index = stability_index(expected, np.array(scores))
                self.drift.labels(model.name, str(model.version)).set(index)
