"""Plots of a registered model, drawn without pyplot's global state."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import PrecisionRecallDisplay

from ml.evaluate import ScoredPayments


def precision_recall(payments: ScoredPayments, threshold: float, title: str) -> Figure:
    """Draw precision against recall, and mark the deployed threshold."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    PrecisionRecallDisplay.from_predictions(
        payments.is_fraud, payments.score, ax=axes, name=title, plot_chance_level=True
    )
    alerts = payments.score >= threshold
    if alerts.any():
        axes.plot(
            payments.is_fraud[alerts].sum() / payments.is_fraud.sum(),
            payments.is_fraud[alerts].mean(),
            "o",
            label=f"threshold {threshold:.3f}",
        )
    axes.legend()
    return figure


def calibration(payments: ScoredPayments, title: str) -> Figure:
    """Draw observed against predicted fraud shares, in bins of equal size."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    CalibrationDisplay.from_predictions(
        payments.is_fraud, payments.score, n_bins=20, strategy="quantile", ax=axes, name=title
    )
    return figure


def importances(values: dict[str, float], title: str) -> Figure:
    """Draw the permutation importance of each feature, largest first."""
    ranked = sorted(values.items(), key=lambda item: item[1])
    figure = Figure(figsize=(7, 8), layout="constrained")
    axes: Any = figure.subplots()
    axes.barh(np.arange(len(ranked)), [value for _, value in ranked])
    axes.set_yticks(np.arange(len(ranked)), [name for name, _ in ranked])
    axes.set_xlabel("average precision lost when shuffled")
    axes.set_title(title)
    return figure


def contributions(values: npt.NDArray[np.float64], rows: pd.DataFrame, title: str) -> Figure:
    """Draw the contributions of each feature to the log-odds of each row, coloured by its value."""
    import shap

    figure = Figure(figsize=(9, 7), layout="constrained")
    axes: Any = figure.subplots()
    explanation = shap.Explanation(
        values=values, data=rows.to_numpy(), feature_names=[str(name) for name in rows]
    )
    shap.plots.beeswarm(explanation, max_display=15, ax=axes, plot_size=None, show=False)
    axes.set_xlabel("contribution to the log-odds of fraud")
    axes.set_title(title)
    return figure
