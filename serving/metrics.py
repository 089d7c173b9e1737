"""Metrics of the decision API for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from serving.decision import Decision

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

    def decided(self, decision: Decision, seconds: float) -> None:
        """Count a decision."""
        self.decisions.labels(decision.risk_level, decision.recommendation).inc()
        self.seconds.observe(seconds)
        if decision.risk_score is not None:
            self.scores.observe(decision.risk_score)
