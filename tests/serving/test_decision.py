"""The verdict on a payment, with and without a champion."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from contracts.columns import MOST_REASONS
from contracts.fraud_rules import FraudRules
from ml.champion import Champion
from ml.score import score_rows
from ml.threshold import Bands
from serving.decision import Verdict, decide, decide_with_rollout
from serving.features import Figures
from tests.serving.champions import learnt
from tests.serving.sample import features_of_all, lake

PAYMENT: dict[str, Any] = {"currency": "USD", "event_date": date(2026, 6, 1)}


@pytest.fixture(scope="module")
def sample() -> tuple[pa.Table, Champion]:
    payments, labels = lake()
    return features_of_all(payments, labels), learnt(payments, labels)


def rules(*severities: str) -> FraudRules:
    """Return a rule of each severity that fires for each payment."""
    always = [{"figure": "amount", "at_least": Decimal(0)}]
    about = {"owner": "o", "description": "It is.", "since": "2020-01-01", "when": always}
    named = [{"code": f"R{n}", "severity": one, **about} for n, one in enumerate(severities)]
    return FraudRules.model_validate({"version": 1, "rules": named})


def figures(features: pa.Table, at: int) -> Figures:
    return Figures(features.slice(at, 1), pa.table({"local_hour_of_day": [12]}))


def decided(figures: Figures, champion: Champion | None, rules: FraudRules) -> Verdict:
    (verdict,) = decide([PAYMENT], figures, champion, rules)
    return verdict


def place_of(features: pa.Table, champion: Champion, low: float, high: float) -> int:
    """Return the first payment whose score is in a range."""
    from ml.matrix import to_matrix

    scores = champion.score(to_matrix(features))
    return int(((scores >= low) & (scores < high)).argmax())


def test_a_model_gives_level_and_reasons(sample: tuple[pa.Table, Champion]) -> None:
    features, champion = sample
    at = place_of(features, champion, 0.2, 0.9)
    verdict = decided(figures(features, at), champion, rules())
    assert (verdict.risk_level, verdict.decision) == ("high", "review")
    assert verdict.score is not None
    assert 1 <= len(verdict.reasons) <= MOST_REASONS
    assert all(one.code.isupper() and one.sentence.endswith(".") for one in verdict.reasons)


@pytest.mark.parametrize(
    ("severities", "level", "decision"),
    [
        ((), "low", "approve"),
        (("low",), "low", "approve"),
        (("medium", "low"), "medium", "approve"),
        (("low", "high"), "high", "review"),
        (("critical",), "critical", "decline"),
    ],
)
@pytest.mark.parametrize("has_model", [True, False])
def test_the_severest_rule_raises_the_level_and_decides(
    sample: tuple[pa.Table, Champion],
    severities: tuple[str, ...],
    level: str,
    decision: str,
    has_model: bool,
) -> None:
    features, champion = sample
    at = place_of(features, champion, 0.0, 0.05)
    model = champion if has_model else None
    verdict = decided(figures(features, at), model, rules(*severities))
    assert (verdict.risk_level, verdict.decision) == (level, decision)
    assert (verdict.score is None) == (not has_model)
    assert len(verdict.reasons) == len(severities)


def test_a_suppressed_rule_is_no_reason_for_its_customer(
    sample: tuple[pa.Table, Champion],
) -> None:
    features, _ = sample
    about = {"source_system": "sparkov", "owner": "o", "reason": "r", "expires": "2026-06-02"}
    given = rules("critical", "high").model_dump(by_alias=True)
    given["suppressions"] = [{"rule": "R0", **about, "counterparty_id": "M1"}]
    for merchant, level in (("M1", "high"), ("M2", "critical")):
        payment = PAYMENT | {"counterparty_id": merchant}
        suppressing = FraudRules.model_validate(given)
        (verdict,) = decide([payment], figures(features, 0), None, suppressing)
        assert verdict.risk_level == level


def test_the_most_severe_rules_come_first_and_reasons_are_four(
    sample: tuple[pa.Table, Champion],
) -> None:
    features, champion = sample
    at = place_of(features, champion, 0.2, 0.9)
    verdict = decided(figures(features, at), champion, rules("low", "critical", "high"))
    assert [one.code for one in verdict.reasons[:3]] == ["R1", "R2", "R0"]
    assert len(verdict.reasons) == MOST_REASONS
    amount = features["amount"][at].as_py()
    assert verdict.reasons[0].sentence.startswith(f"It is. The amount is {amount:,.2f} USD")


def test_the_batch_line_gives_the_same_reasons(sample: tuple[pa.Table, Champion]) -> None:
    features, champion = sample
    at = place_of(features, champion, 0.2, 0.9)
    verdict = decided(figures(features, at), champion, rules())
    scores = score_rows(
        champion, features, snapshot=1, run_id="r", scored_at=datetime(2026, 6, 1, tzinfo=UTC)
    ).to_pylist()
    assert scores[at]["reason_codes"] == [one.code for one in verdict.reasons]
    assert scores[at]["reason_sentences"] == [one.sentence for one in verdict.reasons]
    low = place_of(features, champion, 0.0, 0.05)
    assert scores[low]["reason_codes"] == scores[low]["reason_sentences"] == []


def test_a_critical_score_declines(sample: tuple[pa.Table, Champion]) -> None:
    features, champion = sample
    passport = champion.passport
    sure = replace(
        champion, passport=replace(passport, bands=replace(passport.bands, critical=0.3))
    )
    at = place_of(features, champion, 0.3, 1.0)
    verdict = decided(figures(features, at), sure, rules("low"))
    assert (verdict.risk_level, verdict.decision) == ("critical", "decline")


@pytest.mark.parametrize("percent", [0, 30, 100])
def test_the_challenger_decides_on_the_payments_of_a_share_of_the_customers(
    sample: tuple[pa.Table, Champion], percent: int
) -> None:
    features, champion = sample
    challenger = replace(
        champion, version=2, passport=replace(champion.passport, bands=Bands(0.0, 0.0, 0.0))
    )
    payments = [PAYMENT | {"customer_id": f"{at:08x}"} for at in range(200)]
    both = Figures(features.slice(0, 200), pa.table({"local_hour_of_day": [12] * 200}))
    outcomes = decide_with_rollout(payments, both, champion, challenger, rules(), percent)
    decided = [one.model is challenger for one in outcomes]
    assert decided == [at % 100 < percent for at in range(200)]
    assert [one.shadow and one.shadow.version for one in outcomes] == [
        1 if d else 2 for d in decided
    ]
    assert all(one.verdict.risk_level == "critical" for one in outcomes if one.model is challenger)
    alone = decide(payments, both, champion, rules())
    for one, verdict in zip(outcomes, alone, strict=True):
        assert one.shadow is not None
        assert (one.verdict.score, one.shadow.score) == (verdict.score, verdict.score)


def test_without_a_champion_the_challenger_does_not_decide(
    sample: tuple[pa.Table, Champion],
) -> None:
    features, champion = sample
    (outcome,) = decide_with_rollout(
        [PAYMENT | {"customer_id": "0"}], figures(features, 0), None, champion, rules(), 100
    )
    assert (outcome.model, outcome.shadow, outcome.verdict.score) == (None, None, None)
