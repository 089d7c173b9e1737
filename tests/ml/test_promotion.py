from dataclasses import replace
from math import nan

import pytest

from contracts.results import GateFailed, GateResult
from contracts.windows import Window
from ml.evaluate import Metrics
from ml.promotion import Evidence, gate_model, verdict_reason

GOOD = Metrics(
    average_precision=0.7,
    auc=0.95,
    card_precision_100=0.1,
    card_precision_ceiling=0.2,
    recall_at_budget=0.7,
    threshold=0.3,
    precision=0.6,
    recall=0.6,
    value_recall=0.7,
    brier=0.005,
    brier_skill=0.4,
    prevalence=0.01,
    mean_score=0.012,
    rows=5000,
    frauds=50,
)
SOUND = Evidence(
    test=GOOD,
    everyone=GOOD,
    source="sparkov",
    training_average_precision=0.9,
    baseline_training_average_precision=0.6,
    champion_average_precision=0.65,
    champion="fraud_detector_sparkov version 3",
    champion_is_comparable=True,
    alert_share=0.02,
    onnx_difference=3e-7,
    onnx_problem=None,
)


def decide(evidence: Evidence) -> GateResult:
    return gate_model(
        evidence, window=Window.parse("sparkov@2024-05-01"), run_id="train_1", report=None
    )


def failed(evidence: Evidence) -> set[str]:
    return {check.name for check in decide(evidence).checks if not check.passed}


def test_a_sound_challenger_passes() -> None:
    assert decide(SOUND).passed
    assert not failed(SOUND)


def test_collapse_is_refused_and_the_sentence_says_why() -> None:
    collapsed = replace(SOUND, training_average_precision=0.005)
    result = decide(collapsed)
    assert not result.passed
    with pytest.raises(GateFailed, match=r"not_collapsed.*0\.0050.*>= 0\.5800"):
        result.require()


def test_a_worse_challenger_is_refused_an_equal_one_is_not() -> None:
    assert failed(replace(SOUND, champion_average_precision=0.7001)) == {"not_worse_than_champion"}
    assert decide(replace(SOUND, champion_average_precision=0.7)).passed


def test_the_first_model_needs_no_champion() -> None:
    assert decide(replace(SOUND, champion=None, champion_average_precision=None)).passed


def test_a_champion_of_another_feature_list_does_not_block_and_is_mentioned() -> None:
    result = decide(replace(SOUND, champion_average_precision=None, champion_is_comparable=False))
    assert result.passed
    assert any("another feature list" in (check.reason or "") for check in result.checks)


@pytest.mark.parametrize(
    ("source", "figures", "refused"),
    [
        ("sparkov", {"average_precision": 0.97}, set()),
        ("sparkov", {"average_precision": 0.999}, {"no_leak_average_precision"}),
        ("handbook", {"auc": 0.89}, set()),
        ("handbook", {"auc": 0.89, "average_precision": 0.89}, {"no_leak_average_precision"}),
        ("unheard_of", {"average_precision": 0.9}, {"no_leak_average_precision"}),
    ],
)
def test_figures_too_good_for_their_source_are_refused(
    source: str, figures: dict[str, float], refused: set[str]
) -> None:
    assert failed(replace(SOUND, source=source, test=replace(GOOD, **figures))) == refused


def test_scores_that_say_less_than_the_prevalence_are_refused() -> None:
    assert failed(replace(SOUND, everyone=replace(GOOD, brier_skill=-0.1))) == {
        "scores_say_more_than_prevalence"
    }


def test_figures_that_could_not_be_computed_are_refused() -> None:
    nothing = replace(GOOD, average_precision=float("nan"), auc=float("nan"), frauds=0)
    assert {"enough_frauds_to_judge", "better_than_chance", "not_worse_than_champion"} <= failed(
        replace(SOUND, test=nothing)
    )


def test_an_onnx_model_with_other_scores_is_refused_with_the_difference() -> None:
    result = decide(replace(SOUND, onnx_difference=2.5e-4))
    assert not result.passed
    with pytest.raises(GateFailed, match=r"onnx_scores_equal.*2\.5e-04.*<= 1e-06"):
        result.require()
    assert decide(replace(SOUND, onnx_difference=1e-6)).passed


def test_a_model_that_cannot_be_converted_is_refused_with_the_cause() -> None:
    result = decide(replace(SOUND, onnx_difference=nan, onnx_problem="no converter for Oracle"))
    assert not result.passed
    assert verdict_reason(result) == (
        "onnx_scores_equal: not converted, expected greatest difference of scores <= 1e-06"
        " (the model cannot be converted to ONNX: no converter for Oracle)"
    )


def test_a_warning_does_not_close_the_gate() -> None:
    noisy = replace(SOUND, alert_share=0.2)
    assert failed(noisy) == {"alerts_within_capacity"}
    assert decide(noisy).passed
