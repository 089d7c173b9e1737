"""The decision on a payment, from its figures, the champion and the rules of fraud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isnan
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from contracts.columns import MOST_REASONS, RISK_LEVELS
from contracts.features import FEATURE_LIST_VERSION, FEATURE_NAMES
from contracts.fraud_rules import FraudRules, risk_of
from ml.champion import Champion
from ml.reason_sentences import Reason, reasons_of
from ml.reasons import explain
from ml.threshold import DECISION_OF_LEVEL
from serving.features import Figures
from serving.store import Payment


class ModelVersion(msgspec.Struct, frozen=True):
    """The model that gave the score."""

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


class Shadow(NamedTuple):
    """The score of the model that did not decide."""

    version: int
    score: float


class Outcome(NamedTuple):
    """A verdict, the model that gave it, and the score of the other one."""

    verdict: Verdict
    model: Champion | None
    shadow: Shadow | None


def decide(
    payments: Sequence[Payment], figures: Figures, champion: Champion | None, rules: FraudRules
) -> list[Verdict]:
    """Return the verdict on each payment of a source; without a champion that of the rules alone.

    The risk is the higher one of the score's band and of the severest rule that fires, as in the
    stream (`streaming.detection`).
    """
    rows = [{**row, **payment} for row, payment in zip(figures.rows, payments, strict=True)]
    fired = [rules.fired(row) for row in rows]
    risks = [risk_of(one) for one in fired]
    raised: dict[int, list[str]] = {}
    typical: Mapping[str, float] = {}
    scores: list[float | None] = [None] * len(rows)
    if champion is not None:
        matrix = figures.matrix[list(champion.passport.inputs)]
        given = champion.score(matrix)
        bands = champion.passport.bands
        scores = given.tolist()
        risks = [max(pair) for pair in zip(risks, bands.index(given).tolist(), strict=True)]
        typical = champion.passport.typical
        asked = [
            at
            for at, one in enumerate(fired)
            if given[at] >= bands.medium and len(one) < MOST_REASONS
        ]
        names = explain(champion.model, matrix.iloc[asked], typical)
        raised = dict(zip(asked, names, strict=True))
    reasons = [
        reasons_of(fired[at], raised.get(at, ()), row, typical) for at, row in enumerate(rows)
    ]
    return [
        Verdict(score, RISK_LEVELS[risk], DECISION_OF_LEVEL[risk], why)
        for score, risk, why in zip(scores, risks, reasons, strict=True)
    ]


def decide_with_rollout(
    payments: Sequence[Payment],
    figures: Figures,
    champion: Champion | None,
    challenger: Champion | None,
    rules: FraudRules,
    percent: int,
) -> list[Outcome]:
    """Return the verdict on each payment of a source, with the model that decided and the other.

    The challenger decides on the payments of `percent` of the customers, always the same ones, and
    the champion on the others. Without a champion, the rules alone decide on all.
    """
    if champion is None or challenger is None:
        verdicts = decide(payments, figures, champion, rules)
        return [Outcome(verdict, champion, None) for verdict in verdicts]
    by_challenger = [is_rolled_out(payment["customer_id"], percent) for payment in payments]
    outcomes: dict[int, Outcome] = {}
    for model, other in ((champion, challenger), (challenger, champion)):
        places = [at for at, flag in enumerate(by_challenger) if flag == (model is challenger)]
        if not places:
            continue
        own = figures.of(places)
        verdicts = decide([payments[at] for at in places], own, model, rules)
        shadows = other.score(own.matrix).tolist()
        for at, verdict, shadow in zip(places, verdicts, shadows, strict=True):
            outcomes[at] = Outcome(verdict, model, Shadow(other.version, shadow))
    return [outcomes[at] for at in range(len(payments))]


def is_rolled_out(customer_id: str, percent: int) -> bool:
    """Return whether a customer is among the `percent` on whose payments the challenger decides.

    `customer_id` is a token, whose digits are spread evenly.

    >>> [is_rolled_out(token, 50) for token in ("00000031", "00000032")]
    [True, False]
    """
    return int(customer_id[:8], 16) % 100 < percent


def inputs_of(figures: Figures) -> list[dict[str, float | None]]:
    """Return the inputs of models by name for each payment, None where one is unknown."""
    return [
        {
            name: None if isnan(value) else value
            for name, value in zip(FEATURE_NAMES, row, strict=True)
        }
        for row in figures.matrix.to_numpy().tolist()
    ]


def answer(
    payment: Payment,
    inputs: Mapping[str, float | None],
    verdict: Verdict,
    champion: Champion | None,
    rules_version: int,
    causes: Sequence[str],
    **about: Any,
) -> Decision:
    """Return the answer of the API.

    `about` has request_id, recorded, decided_at and duration_ms.
    """
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
        features=dict(inputs),
        degraded=bool(causes),
        degraded_causes=list(causes),
        **about,
    )
