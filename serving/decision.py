"""The decision on a payment, from its figures, the champion and the rules of fraud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isnan
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from contracts.columns import RISK_LEVELS
from contracts.features import FEATURE_LIST_VERSION, FEATURE_NAMES
from contracts.fraud_rules import FraudRule, FraudRules, risk_of
from ml.champion import Champion
from ml.reason_sentences import sentence
from ml.reasons import explain
from ml.threshold import DECISION_OF_LEVEL
from serving.features import Figures
from serving.store import Payment

MOST_REASONS: Final = 4


class Reason(msgspec.Struct, frozen=True):
    """A rule that fired, or a feature that raised the score."""

    code: str
    sentence: str


class ModelVersion(msgspec.Struct, frozen=True):
    """The champion that gave the score."""

    name: str
    version: int


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of the API."""

    request_id: str
    transaction_id: str
    source_system: str
    risk_score: Annotated[
        float | None, Meta(description="Probability of fraud, null if no model gave one.")
    ]
    risk_level: Annotated[
        Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"],
        Meta(description="The higher of the model's band and the severities of the rules."),
    ]
    recommendation: Literal["APPROVE", "REVIEW", "DECLINE"]
    reason_codes: Annotated[
        list[Reason], Meta(description="At most four: rules first, then features of the model.")
    ]
    model: ModelVersion | None
    rules_version: int
    feature_list_version: str
    features: Annotated[
        dict[str, float | None], Meta(description="The inputs of the model; null if unknown.")
    ]
    degraded: Annotated[
        bool, Meta(description="Whether a part was away, so that rules alone decided.")
    ]
    degraded_causes: list[str]
    recorded: Annotated[
        bool, Meta(description="Whether the decision is in the decision log, also after a crash.")
    ]
    decided_at: datetime
    duration_ms: Annotated[float, Meta(description="From the request's arrival to the decision.")]


class Verdict(msgspec.Struct, frozen=True):
    """What model and rules say of a payment, in the words of the contracts."""

    score: float | None
    risk_level: str
    decision: str
    reasons: Sequence[Reason]


def decide(
    payment: Payment, figures: Figures, champion: Champion | None, rules: FraudRules
) -> Verdict:
    """Return the verdict on a payment; without a champion that of the rules alone.

    The risk is the higher one of the score's band and of the severest rule that fires, as in the
    stream (`streaming.detection`).
    """
    row = figures.features.to_pylist()[0]
    fired = rules.fired(
        {**row, **figures.velocities}, str(payment["currency"]), payment["event_date"]
    )
    reasons = [Reason(rule.code, _about(rule, {**row, **figures.velocities})) for rule in fired]
    score, risk = None, risk_of(fired)
    if champion is not None:
        matrix = figures.matrix[list(champion.passport.inputs)]
        scores = champion.score(matrix)
        bands = champion.passport.bands
        score = float(scores[0])
        risk = max(risk, int(bands.index(scores)[0]))
        if score >= bands.medium and len(reasons) < MOST_REASONS:
            (names,) = explain(champion.model, matrix, champion.passport.typical)
            reasons += [Reason(name.upper(), sentence(name, row)) for name in names]
    return Verdict(score, RISK_LEVELS[risk], DECISION_OF_LEVEL[risk], reasons[:MOST_REASONS])


def answer(
    payment: Payment,
    figures: Figures,
    verdict: Verdict,
    champion: Champion | None,
    rules_version: int,
    causes: Sequence[str],
    **about: Any,
) -> Decision:
    """Return the answer of the API.

    `about` has request_id, recorded, decided_at and duration_ms.
    """
    inputs = dict(zip(FEATURE_NAMES, figures.matrix.to_numpy()[0].tolist(), strict=True))
    return Decision(
        transaction_id=payment["event_id"],
        source_system=payment["source_system"],
        risk_score=verdict.score,
        risk_level=verdict.risk_level.upper(),  # type: ignore[arg-type]  # a code of RISK_LEVELS
        recommendation=verdict.decision.upper(),  # type: ignore[arg-type]  # one of DECISIONS
        reason_codes=list(verdict.reasons),
        model=None if champion is None else ModelVersion(champion.name, champion.version),
        rules_version=rules_version,
        feature_list_version=FEATURE_LIST_VERSION,
        features={name: None if isnan(value) else value for name, value in inputs.items()},
        degraded=bool(causes),
        degraded_causes=list(causes),
        **about,
    )


def _about(rule: FraudRule, figures: Mapping[str, Any]) -> str:
    """Return the description of a rule with the figures that made it fire."""
    values = ", ".join(f"{one.figure} {_text(figures[one.figure])}" for one in rule.when)
    return f"{rule.description.rstrip('.')} ({values})."


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:,.2f}".removesuffix(".00")
