from datetime import date

import numpy as np
import pytest

from ml import evaluate
from ml.evaluate import ScoredPayments

MONDAY, TUESDAY = date(2024, 7, 1), date(2024, 7, 2)


def scored_payments(
    score: list[float],
    fraud: list[int],
    amount: list[float] | None = None,
    customer: list[str] | None = None,
    day: list[date] | None = None,
) -> ScoredPayments:
    count = len(score)
    return ScoredPayments(
        np.array(score),
        np.array(fraud, dtype=bool),
        np.array(amount or [1.0] * count),
        np.array(customer or [f"c{i}" for i in range(count)]),
        np.array(day or [MONDAY] * count),
    )


FOUR = scored_payments([0.9, 0.8, 0.4, 0.1], [1, 0, 1, 0], amount=[30.0, 5.0, 10.0, 5.0])


def test_average_precision_is_the_mean_precision_at_each_fraud() -> None:
    # Frauds have rank 1 (precision 1/1) and rank 3 (precision 2/3).
    assert evaluate.average_precision(FOUR) == pytest.approx((1 + 2 / 3) / 2)


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    # Pairs (fraud, legitimate): 0.9 beats both, 0.4 beats 0.1 only: 3 of 4.
    assert evaluate.roc_auc(FOUR) == pytest.approx(0.75)


def test_figures_at_a_threshold() -> None:
    assert evaluate.precision_at(FOUR, 0.5) == pytest.approx(0.5)
    assert evaluate.recall_at(FOUR, 0.5) == pytest.approx(0.5)
    assert evaluate.value_recall_at(FOUR, 0.5) == pytest.approx(30 / 40)
    assert evaluate.recall_at(FOUR, 0.4) == 1.0
    assert np.isnan(evaluate.precision_at(FOUR, 0.95))


def test_brier_and_skill() -> None:
    # (0.1² + 0.8² + 0.6² + 0.1²) / 4 against 0.25 for always saying one half.
    expected = (0.01 + 0.64 + 0.36 + 0.01) / 4
    assert evaluate.brier(FOUR) == pytest.approx(expected)
    assert evaluate.brier_skill(FOUR) == pytest.approx(1 - expected / 0.25)


def test_card_precision_uses_the_highest_score_of_a_card() -> None:
    payments = scored_payments([0.1, 0.9, 0.8, 0.7], [1, 0, 0, 0], customer=["a", "a", "b", "c"])
    # Top 2 cards are a (0.9, compromised by its other payment) and b.
    assert evaluate.card_precision(payments, k=2) == 0.5


def test_a_detected_card_is_excluded_on_later_days() -> None:
    payments = scored_payments(
        [0.9, 0.5, 0.9, 0.5],
        [1, 0, 1, 1],
        customer=["a", "b", "a", "b"],
        day=[MONDAY, MONDAY, TUESDAY, TUESDAY],
    )
    # a is found on Monday and excluded on Tuesday, so b is the top card: (1 + 1) / 2.
    assert evaluate.card_precision(payments, k=1) == 1.0
    # With two checks a day each day finds one card of two checks.
    assert evaluate.card_precision(payments, k=2) == 0.5


def test_a_missed_card_is_included_on_later_days() -> None:
    payments = scored_payments(
        [0.1, 0.5, 0.9, 0.5],
        [1, 0, 1, 0],
        customer=["a", "b", "a", "b"],
        day=[MONDAY, MONDAY, TUESDAY, TUESDAY],
    )
    assert evaluate.card_precision(payments, k=1) == 0.5


def test_ceiling_is_the_card_precision_of_a_perfect_ranking() -> None:
    payments = scored_payments(
        [0.1, 0.5, 0.9, 0.5],
        [1, 0, 1, 0],
        customer=["a", "b", "a", "b"],
        day=[MONDAY, MONDAY, TUESDAY, TUESDAY],
    )
    # a is found on Monday; no compromised card is left on Tuesday.
    assert evaluate.card_precision_ceiling(payments, k=1) == 0.5
    assert evaluate.card_precision_ceiling(payments, k=100) == pytest.approx(0.005)


def test_recall_at_budget_counts_per_day() -> None:
    payments = scored_payments(
        [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
        [1, 1, 0, 0, 1, 0],
        day=[MONDAY, MONDAY, MONDAY, MONDAY, TUESDAY, TUESDAY],
    )
    # A quarter of 4 is 1 payment on Monday, of 2 rounds up to 1 on Tuesday: 2 of 3 frauds.
    assert evaluate.recall_at_budget(payments, share=0.25) == pytest.approx(2 / 3)


def test_calibration_table_bins_by_stated_score() -> None:
    payments = scored_payments([0.005, 0.02, 0.04, 0.95, 1.0], [0, 0, 1, 1, 1])
    lines = {line.low: line for line in evaluate.calibration_table(payments)}
    assert sorted(lines) == [0.0, 0.01, 0.9]
    assert (lines[0.01].payments, lines[0.01].fraud_share) == (2, 0.5)
    assert lines[0.01].mean_score == pytest.approx(0.03)
    assert lines[0.9].payments == 2


def test_metrics_that_need_a_fraud_are_omitted_without_one() -> None:
    figures = evaluate.report(scored_payments([0.2, 0.1], [0, 0]), 0.5).to_dict()
    assert {"average_precision", "auc", "recall", "value_recall", "recall_at_budget"}.isdisjoint(
        figures
    )
    assert figures["prevalence"] == 0


def test_accuracy_is_never_reported() -> None:
    assert not [name for name in evaluate.report(FOUR, 0.5).to_dict() if "accuracy" in name]
