"""The model gate: the conditions under which a challenger becomes champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from contracts.results import CheckResult, GateResult
from contracts.stages import Gate
from contracts.windows import Window
from ml.evaluate import REVIEW_SHARE, Metrics

COLLAPSE_TOLERANCE: Final = 0.02
MINIMUM_TEST_FRAUDS: Final = 5
MINIMUM_AUC: Final = 0.6
CALIBRATION_FACTOR: Final = 3.0
ONNX_TOLERANCE: Final = 1e-6


@dataclass(frozen=True)
class LeakBound:
    """Metrics of a source above which a leak must be ruled out first."""

    average_precision: float
    auc: float
    reason: str


LEAK_BOUNDS: Final[Mapping[str, LeakBound]] = MappingProxyType(
    {
        "sparkov": LeakBound(
            0.985,
            0.9999,
            "the generator's frauds are easy: tuned boosting reaches 0.97 without any leak",
        ),
        "handbook": LeakBound(
            0.80,
            0.93,
            "best honest model 0.71 and 0.89; no label delay gives 0.89, a random split 0.80",
        ),
    }
)
DEFAULT_BOUND: Final = LeakBound(
    0.80, 0.97, "an undeclared source: real card fraud reaches 0.1 to 0.7"
)


@dataclass(frozen=True)
class Evidence:
    """Evidence for the gate; metrics are computed on the test fold.

    Attributes:
        test: metrics over customers not known as compromised before.
        everyone: metrics over all customers, because all of them are scored.
        source: the source system, whose figures have known bounds.
        training_average_precision: of the challenger, on its own training rows.
        baseline_training_average_precision: of the logistic regression, on the same rows.
        champion_average_precision: on the rows of `test`; None when there is no champion.
        champion: its name in the report.
        champion_is_comparable: False when it reads another feature list.
        alert_share: share of all test payments at or above the threshold.
        onnx_difference: the greatest difference between the scores of the ONNX model and of the
            model for all test payments; NaN when the model could not be converted.
        onnx_problem: why it could not be converted.
    """

    test: Metrics
    everyone: Metrics
    source: str
    training_average_precision: float
    baseline_training_average_precision: float
    champion_average_precision: float | None
    champion: str | None
    champion_is_comparable: bool
    alert_share: float
    onnx_difference: float
    onnx_problem: str | None


def gate_model(
    evidence: Evidence, *, window: Window, run_id: str, report: str | None
) -> GateResult:
    """Check whether the challenger may become champion; a metric that is NaN never passes."""
    checks = [
        *_learnt(evidence),
        *_plausible(evidence.source, evidence.test),
        *_calibrated(evidence),
        _converted(evidence),
        _not_worse(evidence),
    ]
    return GateResult(Gate.MODEL, window, run_id, tuple(checks), report)


def _check(
    name: str,
    passed: bool,
    observed: float | str,
    expected: str,
    reason: str,
    severity: str = "critical",
) -> CheckResult:
    return CheckResult(
        name=name,
        table="sandbox.features",
        severity=severity,
        passed=bool(passed),
        observed=f"{observed:.4f}" if isinstance(observed, float) else str(observed),
        expected=expected,
        reason=reason,
    )


def _learnt(evidence: Evidence) -> list[CheckResult]:
    floor = evidence.baseline_training_average_precision - COLLAPSE_TOLERANCE
    return [
        _check(
            "not_collapsed",
            evidence.training_average_precision >= floor,
            evidence.training_average_precision,
            f"training average precision >= {floor:.4f}",
            "boosting that collapsed on rare positives falls below logistic regression in training",
        ),
        _check(
            "enough_frauds_to_judge",
            evidence.test.frauds >= MINIMUM_TEST_FRAUDS,
            evidence.test.frauds,
            f">= {MINIMUM_TEST_FRAUDS}",
            "with fewer frauds, average precision is not meaningful",
        ),
        _check(
            "better_than_chance",
            evidence.test.auc >= MINIMUM_AUC
            and evidence.test.average_precision > evidence.test.prevalence,
            evidence.test.auc,
            f"AUC >= {MINIMUM_AUC} and average precision above the prevalence",
            "the handbook's weakest model, an Isolation Forest, has AUC 0.83",
        ),
    ]


def _plausible(source: str, metrics: Metrics) -> list[CheckResult]:
    if not metrics.frauds:
        return []
    bound = LEAK_BOUNDS.get(source, DEFAULT_BOUND)
    return [
        _check(f"no_leak_{name}", observed <= limit, observed, f"<= {limit}", bound.reason)
        for name, observed, limit in (
            ("average_precision", metrics.average_precision, bound.average_precision),
            ("auc", metrics.auc, bound.auc),
        )
    ]


def _calibrated(evidence: Evidence) -> list[CheckResult]:
    everyone = evidence.everyone
    ratio = everyone.mean_score / everyone.prevalence if everyone.prevalence else float("nan")
    return [
        _check(
            "scores_say_more_than_prevalence",
            everyone.brier_skill > 0,
            everyone.brier_skill,
            "Brier skill > 0",
            "below 0, predicting the base rate for every payment would be better",
        ),
        _check(
            "mean_score_near_prevalence",
            1 / CALIBRATION_FACTOR <= ratio <= CALIBRATION_FACTOR,
            ratio,
            f"mean score over prevalence within a factor of {CALIBRATION_FACTOR:g}",
            "frauds occur in bursts: two quiet weeks halve the prevalence",
            "warning",
        ),
        _check(
            "alerts_within_capacity",
            evidence.alert_share <= 2 * REVIEW_SHARE,
            evidence.alert_share,
            f"alerts <= {2 * REVIEW_SHARE:g} of payments",
            "twice what the threshold was set for",
            "warning",
        ),
    ]


def _converted(evidence: Evidence) -> CheckResult:
    observed = f"{evidence.onnx_difference:.1e}"
    reason = "ONNX Runtime gives the scores, so they must be those that were tested"
    if evidence.onnx_problem is not None:
        observed = "not converted"
        reason = f"the model cannot be converted to ONNX: {evidence.onnx_problem}"
    return _check(
        "onnx_scores_equal",
        evidence.onnx_difference <= ONNX_TOLERANCE,
        observed,
        f"greatest difference of scores <= {ONNX_TOLERANCE:g}",
        reason,
    )


def _not_worse(evidence: Evidence) -> CheckResult:
    name = "not_worse_than_champion"
    if evidence.champion_average_precision is None:
        reason = (
            "there is no champion yet"
            if evidence.champion_is_comparable
            else f"{evidence.champion} reads another feature list and cannot score these rows"
        )
        return _check(name, True, evidence.test.average_precision, "any", reason, "info")
    return _check(
        name,
        evidence.test.average_precision >= evidence.champion_average_precision,
        evidence.test.average_precision,
        f">= {evidence.champion_average_precision:.4f}, {evidence.champion} on the same rows",
        "both scored the same test rows; equal means that fresher data wins",
    )


def verdict_reason(gate: GateResult) -> str:
    """Return the reason of the decision as text: the failed checks, or the passed comparison."""
    failed = [check for check in gate.checks if not check.passed]
    closed = [check for check in failed if check.severity == "critical"]
    decisive = closed or [check for check in gate.checks if check.name == "not_worse_than_champion"]
    words = [
        f"{check.name}: {check.observed}, expected {check.expected} ({check.reason})"
        for check in decisive
    ]
    if not closed:
        warned = ", ".join(check.name for check in failed) or "none"
        words.append(f"{len(gate.checks)} checks, warnings: {warned}")
    return "; ".join(words)
