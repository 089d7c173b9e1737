"""The candidate models. Each consists of objects of scikit-learn and XGBoost only.

An artefact without classes of this project loads wherever these libraries do, and skops can check
every type in it. A candidate reads the columns it was fitted on, and any of them may hold nulls:
what fills the gaps is learnt from the training rows, inside the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from xgboost import XGBClassifier

SEED: Final = 20240501
BEHAVIOUR: Final = (
    "amount_to_mean_ratio",
    "customer_transaction_count_1d",
    "customer_transaction_count_7d",
    "time_since_last_seconds",
    "is_new_merchant",
    "is_new_category",
    "is_night",
)

Builder = Callable[[pd.DataFrame], Any]


def _medians(*, add_indicator: bool) -> SimpleImputer:
    # A column without values in these rows is filled with zeros, because later rows may have
    # values.
    return SimpleImputer(strategy="median", keep_empty_features=True, add_indicator=add_indicator)


def logistic_regression(train: pd.DataFrame) -> Pipeline:
    """Return the baseline that the other candidates are compared with.

    Counts, amounts and seconds have long tails, so it uses their inverse hyperbolic sines, which
    are logarithmic for large values and defined for 0 and negative ones. A null becomes the median,
    with a separate input that marks nulls. The pipeline fits medians and scales, so they come from
    training rows only.
    """
    del train
    return Pipeline(
        [
            ("impute", _medians(add_indicator=True)),
            ("log", FunctionTransformer(np.arcsinh)),
            ("scale", StandardScaler()),
            ("model", LogisticRegression(C=1.0, max_iter=1000)),
        ]
    )


def xgboost(train: pd.DataFrame) -> XGBClassifier:
    """Return gradient boosting on histograms whose bins are fine enough for rare frauds.

    With 4,096 bins a tree finds the thresholds of the extreme tails. Nulls stay nulls: a tree
    learns their branch. It begins at log-odds 0, where XGBoost and ONNX Runtime add the trees in
    the same order. Decision 25 has the measurements behind each setting.
    """
    del train
    return XGBClassifier(
        tree_method="hist",
        max_bin=4096,
        n_estimators=100,
        learning_rate=0.1,
        max_depth=4,
        reg_lambda=5.0,
        base_score=0.5,
        random_state=SEED,
        n_jobs=1,
    )


def isolation_forest(train: pd.DataFrame) -> Pipeline:
    """Return an anomaly detector that uses no labels and no raw amounts.

    A null is filled with the median, so that a missing value is not an anomaly.

    Source: Liu, Ting, Zhou, Isolation Forest, 2008.
    """
    behaviour = [name for name in BEHAVIOUR if name in train and train[name].notna().any()]
    return Pipeline(
        [
            ("behaviour", ColumnTransformer([("ratios", "passthrough", behaviour)])),
            ("impute", _medians(add_indicator=False)),
            ("log", FunctionTransformer(np.arcsinh)),
            (
                "model",
                IsolationForest(n_estimators=100, max_samples=1024, random_state=SEED, n_jobs=1),
            ),
        ]
    )


SUPERVISED: Final[Mapping[str, Builder]] = MappingProxyType(
    {"logistic_regression": logistic_regression, "xgboost": xgboost}
)
BASELINE: Final = "logistic_regression"
