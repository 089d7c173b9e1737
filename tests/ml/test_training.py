from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from xgboost import XGBClassifier

from contracts.windows import Window
from ml import candidates, dataset, training
from ml.errors import NotEnoughHistory
from ml.promotion import Evidence, gate_model

World = tuple[pa.Table, pa.Table]


@pytest.fixture(scope="module")
def data(world: World, as_of: datetime) -> dataset.Dataset:
    return dataset.labelled(*world, as_of)


@pytest.fixture(scope="module")
def trained(data: dataset.Dataset, as_of: datetime) -> training.Trained:
    return training.train(data, as_of)


def test_the_planted_fraud_is_found(trained: training.Trained) -> None:
    assert trained.test.auc > 0.85
    assert trained.test.average_precision > 5 * trained.test.prevalence
    assert trained.everyone.rows > trained.test.rows
    assert set(trained.trials) == {"logistic_regression", "xgboost", "isolation_forest"}
    best = max(candidates.SUPERVISED, key=lambda name: trained.trials[name].mean)
    assert trained.name == best


def test_scores_are_probabilities_close_to_what_happens(trained: training.Trained) -> None:
    score = trained.test_payments.score
    assert score.min() >= 0
    assert score.max() <= 1
    assert trained.everyone.mean_score == pytest.approx(trained.everyone.prevalence, rel=0.5)
    assert trained.everyone.brier_skill > 0


def test_the_same_data_gives_the_same_scores_bit_for_bit(
    world: World, as_of: datetime, trained: training.Trained
) -> None:
    features, labels = world
    order = np.random.default_rng(0).permutation(features.num_rows)
    again = training.train(
        dataset.labelled(features.take(order), labels.take(order[::-1]), as_of), as_of
    )
    assert again.test_payments.score.tobytes() == trained.test_payments.score.tobytes()
    assert again.bands == trained.bands
    assert again.name == trained.name


def test_labels_of_the_test_fold_do_not_affect_training(
    data: dataset.Dataset, as_of: datetime, trained: training.Trained
) -> None:
    """Flipping every label that was not known when the test fold began moves no score."""
    rows = data.rows.copy()
    unseen = ~trained.plan.test.train(rows)
    for fold in trained.plan.folds:
        unseen &= ~fold.train(rows) & ~fold.evaluation(rows)
    assert unseen.sum() > 100
    rows.loc[unseen, "is_fraud"] = ~rows.loc[unseen, "is_fraud"]
    other = training.train(dataset.Dataset(rows, data.matrix, data.unlabelled), as_of)
    assert other.test_payments.score.tobytes() == trained.test_payments.score.tobytes()
    assert other.bands == trained.bands
    assert other.typical == trained.typical


def test_scales_come_from_training_rows_only(data: dataset.Dataset) -> None:
    train = np.arange(len(data.rows)) < 3000
    model, _, _ = training.fit_and_score("logistic_regression", data, train, ~train)
    amount = list(data.matrix.columns).index("amount")
    expected = np.arcsinh(data.matrix["amount"][train]).mean()
    assert model.named_steps["scale"].mean_[amount] == pytest.approx(expected)


def test_the_anomaly_detector_sees_no_label(data: dataset.Dataset) -> None:
    train = np.arange(len(data.rows)) < 3000
    _, _, score = training.fit_and_score("isolation_forest", data, train, ~train)
    rows = data.rows.assign(is_fraud=~data.rows["is_fraud"])
    flipped = dataset.Dataset(rows, data.matrix, 0)
    _, _, same = training.fit_and_score("isolation_forest", flipped, train, ~train)
    assert score.tobytes() == same.tobytes()
    assert "amount" not in candidates.BEHAVIOUR
    assert 0 <= score.min() <= score.max() <= 1


def test_boosting_that_collapses_is_refused(
    build_world: Callable[..., World], as_of: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learning rate far too high stands for the collapse that missing l2 causes."""

    def careless(train: pd.DataFrame) -> XGBClassifier:
        return candidates.xgboost(train).set_params(learning_rate=50.0, reg_lambda=0.0)

    monkeypatch.setattr(
        candidates,
        "SUPERVISED",
        {"logistic_regression": candidates.logistic_regression, "xgboost": careless},
    )
    data = dataset.labelled(*build_world(), as_of)
    trained = training.train(data, as_of)
    collapsed = trained.trials["xgboost"]
    baseline = trained.trials["logistic_regression"]
    assert trained.name == "logistic_regression", "the contest prefers the sound model"
    result = gate_model(
        Evidence(
            test=trained.test,
            everyone=trained.everyone,
            source="sparkov",
            training_average_precision=collapsed.training_average_precision,
            baseline_training_average_precision=baseline.training_average_precision,
            champion_average_precision=None,
            champion=None,
            champion_is_comparable=True,
            alert_share=0.02,
            onnx_difference=0.0,
            onnx_problem=None,
        ),
        window=Window.parse("sparkov@2024-06-29"),
        run_id="train_1",
        report=None,
    )
    assert [check.name for check in result.checks if not check.passed] == ["not_collapsed"]


def test_typical_values_and_bands_are_plain_numbers(trained: training.Trained) -> None:
    assert all(isinstance(value, float) for value in trained.typical.values())
    assert 0 < trained.bands.medium <= trained.bands.high <= trained.bands.critical
    assert all(isinstance(value, float) for value in asdict(trained.bands).values())


def test_too_little_history_is_a_clear_error(
    build_world: Callable[..., World], as_of: datetime
) -> None:
    features, labels = build_world(days=20)
    early = as_of - timedelta(days=40)
    with pytest.raises(NotEnoughHistory, match="training needs"):
        training.train(dataset.labelled(features, labels, early), early)
    with pytest.raises(NotEnoughHistory, match="no label was known"):
        training.train(dataset.labelled(features, labels.slice(0, 0), early), early)


def test_too_few_frauds_are_a_clear_error(data: dataset.Dataset, as_of: datetime) -> None:
    rows = data.rows.assign(is_fraud=data.rows["is_fraud"] & (data.rows.index % 20 == 0))
    with pytest.raises(NotEnoughHistory, match="frauds were known"):
        training.train(dataset.Dataset(rows, data.matrix, 0), as_of)
