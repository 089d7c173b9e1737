"""Reasons of a score: how much each feature contributes to its log-odds.

XGBoost computes exact Shapley values of its trees (Lundberg et al. 2020). Other models are
explained by occlusion (Zeiler and Fergus 2014; Robnik-Šikonja and Kononenko 2008 for tabular
models).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from xgboost import DMatrix, XGBClassifier

from contracts.columns import MOST_REASONS

_EDGE: Final = 1e-12
_DIGITS: Final = 6
"""Decimals of a contribution. The number of rows in a call may change later ones, and XGBoost has
32 bits: neither changes the order."""
_ROWS: Final = 256
"""Rows that are explained at once: a model is called once for all their inputs."""


def typical_values(train: pd.DataFrame) -> dict[str, float]:
    """Return the median of each feature over the training rows."""
    return {str(name): float(value) for name, value in train.median().items()}


def log_odds(model: Any, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the log-odds of fraud that `model` predicts."""
    share = np.clip(model.predict_proba(rows)[:, 1], _EDGE, 1 - _EDGE)
    return np.asarray(np.log(share / (1 - share)), dtype=np.float64)


def explain(
    model: Any, rows: pd.DataFrame, typical: Mapping[str, float], top: int = MOST_REASONS
) -> list[list[str]]:
    """Return for each row the features that raised its score most, strongest first.

    Features that do not raise the score are omitted, so a row may have fewer than `top`; ties keep
    the order of the feature list.
    """
    if rows.empty:
        return []
    names = list(rows.columns)
    raised = contributions(model, rows, typical).round(_DIGITS)
    order = np.argsort(-raised, axis=1, kind="stable")[:, :top]
    return [
        [names[feature] for feature in features if raised[row, feature] > 0]
        for row, features in enumerate(order)
    ]


def contributions(
    model: Any, rows: pd.DataFrame, typical: Mapping[str, float]
) -> npt.NDArray[np.float64]:
    """Return the contribution of each input to the log-odds of each row, a row and a column each.

    Those of XGBoost and its expected log-odds add up to the log-odds of the score. By occlusion, a
    contribution is the decrease of the log-odds when the typical value replaces the value.
    """
    if isinstance(model, XGBClassifier):
        # A matrix of numbers takes a third of the time of a frame for one row.
        matrix = DMatrix(rows.to_numpy(), feature_names=list(rows), nthread=1)
        values = model.get_booster().predict(matrix, pred_contribs=True)[:, :-1]
        return np.asarray(values, dtype=np.float64)
    return np.concatenate(
        [
            _falls(model, rows.iloc[first : first + _ROWS], typical)
            for first in range(0, len(rows), _ROWS)
        ]
    )


def _falls(model: Any, rows: pd.DataFrame, typical: Mapping[str, float]) -> npt.NDArray[np.float64]:
    """Return the decrease of the log-odds of each row by each input, a row and a column each."""
    names = list(rows.columns)
    changed = np.repeat(rows.to_numpy(np.float64)[np.newaxis], len(names), axis=0)
    for place, name in enumerate(names):
        changed[place, :, place] = typical[name]
    together = pd.DataFrame(changed.reshape(-1, len(names)), columns=names)
    without = log_odds(model, together).reshape(len(names), len(rows))
    return np.asarray(log_odds(model, rows)[:, np.newaxis] - without.T, dtype=np.float64)
