"""Drift: a distribution is kept with the model, and a day is measured against it."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from ml import drift
from ml.drift import Distribution, describe, stability_index

NULL = float("nan")


def test_stability_index_by_hand() -> None:
    expected = describe(np.array([0.0, 0.0, 1.0, 1.0]), bins=2)
    assert stability_index(expected, np.array([0.0, 0.0, 1.0, 1.0])) == 0
    # Halves 50/50 become 25/75: 0.25·ln(0.5) moves down, 0.25·ln(1.5) moves up.
    moved = stability_index(expected, np.array([0.0, 1.0, 1.0, 1.0]))
    assert moved == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5))


def test_bins_of_many_values_are_their_quantiles() -> None:
    known = describe(np.arange(1000.0))
    assert len(known.edges) == 9
    assert known.shares == pytest.approx([0.1] * 10 + [0])
    assert known.mean == 499.5
    shifted = stability_index(known, np.arange(1000.0) + 300)
    assert shifted > 0.25
    assert stability_index(known, np.arange(0.5, 1000, 2)) < 0.001


@pytest.mark.parametrize("usual", [0.0, 1.0])
def test_a_rare_flag_has_a_separate_bin(usual: float) -> None:
    rare = np.full(1000, usual)
    rare[:10] = 1 - usual
    often = np.full(1000, usual)
    often[:200] = 1 - usual
    assert stability_index(describe(rare), rare) == 0
    assert stability_index(describe(rare), often) > 0.25


def test_a_mostly_zero_share_has_bins_for_its_other_values() -> None:
    random = np.random.default_rng(1)
    mostly = np.where(random.random(5000) < 0.05, random.random(5000), 0)
    half = np.where(random.random(5000) < 0.5, random.random(5000), 0)
    assert stability_index(describe(mostly), half) > 0.25


def test_nulls_are_a_bin() -> None:
    expected = describe(np.array([1.0, 2.0, 3.0, NULL]))
    assert expected.null_share == 0.25
    assert expected.mean == 2
    assert stability_index(expected, np.array([NULL, NULL, 3.0, 2.0])) > 0.1
    unknown = describe(np.array([NULL, NULL]))
    assert (unknown.mean, unknown.null_share) == (None, 1)


def test_a_distribution_is_unchanged_by_a_round_trip_through_the_artefact() -> None:
    known = describe(np.random.default_rng(2).normal(size=500))
    assert Distribution.from_dict(json.loads(json.dumps(asdict(known)))) == known


def test_drift_is_measured_per_day_and_feature() -> None:
    matrix = pd.DataFrame({"a": [1.0, 1.0, 2.0, NULL], "b": [0.0, 1.0, 0.0, 1.0]})
    expected = {name: describe(matrix[name].to_numpy()) for name in matrix}
    day = np.array(["2024-05-01", "2024-05-01", "2024-05-02", "2024-05-02"], dtype=object)
    lines = {
        (line["event_date"], line["feature_name"]): line
        for line in drift.of_days(expected, matrix, day)
    }
    assert len(lines) == 4
    assert lines["2024-05-01", "b"]["stability_index"] == 0
    second = lines["2024-05-02", "a"]
    assert (second["transaction_count"], second["null_share"], second["feature_mean"]) == (
        2,
        0.5,
        2,
    )
    assert (second["training_null_share"], second["training_mean"]) == (0.25, 4 / 3)
