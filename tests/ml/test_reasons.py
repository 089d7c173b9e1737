from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from ml import candidates, reasons


def fitted() -> Any:
    """Return a model whose log-odds are 3a + 1b - 2c."""
    model = LogisticRegression()
    model.classes_ = np.array([False, True])
    model.coef_ = np.array([[3.0, 1.0, -2.0]])
    model.intercept_ = np.array([0.0])
    model.feature_names_in_ = np.array(["a", "b", "c"], dtype=object)
    model.n_features_in_ = 3
    return model


TYPICAL = {"a": 0.0, "b": 0.0, "c": 0.0}


def test_features_are_named_by_how_far_the_log_odds_fall() -> None:
    rows = pd.DataFrame({"a": [1.0, 0.1, 0.0], "b": [1.0, 1.0, 0.0], "c": [-0.1, 0.0, 1.0]})
    assert reasons.explain(fitted(), rows, TYPICAL) == [
        ["a", "b", "c"],  # 3, 1 and 0.2
        ["b", "a"],  # 1 and 0.3; c is typical
        [],  # c lowers the score
    ]


def test_only_the_strongest_are_named() -> None:
    rows = pd.DataFrame({"a": [1.0], "b": [1.0], "c": [-2.0]})
    assert reasons.explain(fitted(), rows, TYPICAL, top=1) == [["c"]]


def test_equal_features_keep_the_order_of_the_list_up_to_the_last_digits() -> None:
    rows = pd.DataFrame({"a": [0.1, 0.1], "b": [0.3 + 1e-13, 0.3 - 1e-13], "c": [0.0, 0.0]})
    assert reasons.explain(fitted(), rows, TYPICAL) == [["a", "b"]] * 2


def test_no_rows_need_no_reasons() -> None:
    assert reasons.explain(fitted(), pd.DataFrame({"a": [], "b": [], "c": []}), TYPICAL) == []


def test_typical_values_are_training_medians() -> None:
    train = pd.DataFrame({"a": [1.0, 2.0, 100.0], "b": [np.nan, 4.0, 6.0]})
    assert reasons.typical_values(train) == {"a": 2.0, "b": 5.0}


def test_contributions_of_xgboost_are_shapley_values_that_add_up_to_the_log_odds() -> None:
    import shap

    random = np.random.default_rng(3)
    rows = pd.DataFrame(random.lognormal(0, 1, (2000, 4)), columns=["a", "b", "c", "d"])
    rows = rows.mask(random.random(rows.shape) < 0.1)
    model = candidates.xgboost(rows)
    model.fit(rows, (rows["a"].fillna(0) + rows["c"].fillna(2) > 4).to_numpy())
    values = reasons.contributions(model, rows, {})
    explained = shap.TreeExplainer(model)(rows)
    assert np.abs(values - explained.values).max() <= 1e-6
    log_odds = reasons.log_odds(model, rows)
    assert values.sum(axis=1) + explained.base_values == pytest.approx(log_odds, abs=1e-4)
    # The features that made the label, and those that lower the score are no reasons.
    strongest = np.abs(values).mean(axis=0).argsort()[::-1][:2]
    assert {rows.columns[place] for place in strongest} == {"a", "c"}
    first = reasons.explain(model, rows.head(1), {}, top=4)[0]
    assert set(first) == {name for name, value in zip(rows, values[0], strict=True) if value > 0}
