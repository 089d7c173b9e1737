"""Fit the candidates, choose between them on earlier folds, test the chosen one once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from contracts.features import FEATURE_NAMES
from ml import candidates, drift, evaluate, reasons, split, threshold
from ml.dataset import Dataset
from ml.errors import NotEnoughHistory
from ml.evaluate import Metrics, ScoredPayments

ANOMALY: Final = "isolation_forest"

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Trial:
    """How one candidate did: a figure a fold, oldest first, then on its final fit."""

    fold_average_precision: tuple[float, ...]
    training_average_precision: float
    test: Metrics

    @property
    def mean(self) -> float:
        """Return the mean average precision over the validation folds."""
        return float(np.nanmean(self.fold_average_precision))

    @property
    def deviation(self) -> float:
        """Return the standard deviation over the validation folds."""
        return float(np.nanstd(self.fold_average_precision))


@dataclass(frozen=True)
class Trained:
    """The chosen model and all that is known about it.

    Attributes:
        test: figures on payments of customers not known as compromised before: the headline.
        everyone: the same on all customers.
        validation: the last validation fold, scored by the model fitted before it.
        test_payments: the test rows of all customers with the deployed scores; `unknown` marks
            those of `test`.
        test_features: every feature of the test rows; `test_matrix` has those that the model reads.
        null_share: of each feature that the model reads, over the final training rows: a feature
            that was null in all of these is not among them.
        distributions: of each feature that the model reads, over the final training rows.
        first_date: the business date that the labelled history begins with.
    """

    name: str
    model: Any
    bands: threshold.Bands
    typical: Mapping[str, float]
    plan: split.Plan
    trials: Mapping[str, Trial]
    test: Metrics
    everyone: Metrics
    validation: ScoredPayments
    test_payments: ScoredPayments
    unknown: Flags
    test_features: pd.DataFrame
    test_matrix: pd.DataFrame
    null_share: Mapping[str, float]
    distributions: Mapping[str, drift.Distribution]
    first_date: date
    rows_train: int
    frauds_train: int

    @property
    def source_features(self) -> tuple[str, ...]:
        """Return the features of the source's files that the model reads, in order."""
        return tuple(name for name in self.null_share if name not in FEATURE_NAMES)


def scored_payments(data: Dataset, mask: Flags, score: Floats) -> ScoredPayments:
    """Return the payments of `mask` with their scores and labels."""
    rows = data.rows[mask]
    return ScoredPayments(
        score=score,
        is_fraud=rows["is_fraud"].to_numpy(dtype=bool),
        amount=rows["amount"].to_numpy(dtype=np.float64),
        customer=rows["customer_id"].to_numpy(),
        day=rows["event_date"].to_numpy(),
    )


def fit_and_score(
    name: str, data: Dataset, train: Flags, wanted: Flags
) -> tuple[Any, Floats, Floats]:
    """Fit a candidate on `train`; return it with its scores of `train` and of `wanted`.

    The anomaly detector sees no label; its scores are ranks among its training rows, in [0, 1].
    """
    matrix = data.matrix[train]
    if name == ANOMALY:
        model = candidates.isolation_forest(matrix).fit(matrix)
        raw = -model.score_samples(matrix)
        ladder = np.sort(raw)

        def rank(values: Floats) -> Floats:
            return np.searchsorted(ladder, values, side="right") / len(ladder)

        return model, rank(raw), rank(-model.score_samples(data.matrix[wanted]))
    model = candidates.SUPERVISED[name](matrix).fit(matrix, data.rows["is_fraud"][train])
    return (
        model,
        probability(model, matrix),
        probability(model, data.matrix[wanted]),
    )


def probability(model: Any, matrix: pd.DataFrame) -> Floats:
    """Return the probability of fraud of each row."""
    return np.asarray(model.predict_proba(matrix)[:, 1], dtype=np.float64)


def train(data: Dataset, as_of: datetime) -> Trained:
    """Run the whole contest.

    Candidates are compared by mean average precision over prequential folds. The risk bands come
    from the last of these folds, with the model fitted before it; the chosen candidate is then
    fitted again on everything known at the start of the test fold. Candidates minimise the log
    loss, so that their scores are probabilities; the model gate checks it.

    Raises:
        NotEnoughHistory: when too few days or frauds are known.
    """
    if data.rows.empty:
        raise NotEnoughHistory(
            f"no label was known by {as_of:%Y-%m-%d}: process a window of history first."
        )
    plan = split.plan(data.rows["event_date"].iloc[0], as_of)
    final_train = plan.test.train(data.rows)
    last_train = plan.folds[-1].train(data.rows)
    frauds = int(data.rows["is_fraud"][last_train].sum())
    if frauds < split.MINIMUM_TRAIN_FRAUDS:
        raise NotEnoughHistory(
            f"only {frauds} frauds were known by {plan.folds[-1].start}, training needs"
            f" {split.MINIMUM_TRAIN_FRAUDS}: process a longer window of history first."
        )
    if not any(data.rows["is_fraud"][fold.evaluation(data.rows)].any() for fold in plan.folds):
        raise NotEnoughHistory(
            f"no fraud is known from {plan.folds[0].start} to {plan.folds[-1].end}, so candidates"
            " cannot be compared: process a longer window of history first."
        )
    tested = plan.test.evaluation(data.rows)
    test_features = data.matrix[tested]
    null_share = _null_share(data.matrix[final_train])
    data = replace(data, matrix=data.matrix[list(null_share)])
    unknown = split.of_unknown_customers(data.rows, tested)[tested]

    trials: dict[str, Trial] = {}
    fitted: dict[str, tuple[Any, Any]] = {}
    for name in (*candidates.SUPERVISED, ANOMALY):
        per_fold: list[float] = []
        model: Any = None
        for fold in plan.folds:
            mask = fold.evaluation(data.rows)
            known = fold.train(data.rows)
            if not data.rows["is_fraud"][known].any():
                continue
            model, _, score = fit_and_score(name, data, known, mask)
            per_fold.append(evaluate.average_precision(scored_payments(data, mask, score)))
        final, on_train, on_test = fit_and_score(name, data, final_train, tested)
        fitted[name] = (model, final)
        trials[name] = Trial(
            tuple(per_fold),
            evaluate.average_precision(scored_payments(data, final_train, on_train)),
            evaluate.report(scored_payments(data, tested, on_test).where(unknown), 0.5),
        )
    chosen = max(candidates.SUPERVISED, key=lambda name: trials[name].mean)

    validated = plan.folds[-1].evaluation(data.rows)
    before, model = fitted[chosen]
    validation = scored_payments(data, validated, probability(before, data.matrix[validated]))
    bands = threshold.choose(validation)
    everyone = scored_payments(data, tested, probability(model, data.matrix[tested]))
    return Trained(
        name=chosen,
        model=model,
        bands=bands,
        typical=reasons.typical_values(data.matrix[final_train]),
        plan=plan,
        trials=trials,
        test=evaluate.report(everyone.where(unknown), bands.high),
        everyone=evaluate.report(everyone, bands.high),
        validation=validation,
        test_payments=everyone,
        unknown=unknown,
        test_features=test_features,
        test_matrix=data.matrix[tested],
        null_share=null_share,
        distributions={
            name: drift.describe(data.matrix[name][final_train].to_numpy()) for name in null_share
        },
        first_date=data.rows["event_date"].iloc[0],
        rows_train=int(final_train.sum()),
        frauds_train=int(data.rows["is_fraud"][final_train].sum()),
    )


def _null_share(train: pd.DataFrame) -> dict[str, float]:
    """Return how often each feature is null, (nulls + 1) / (rows + 2), unless it always is.

    Laplace's rule of succession: a feature that never was null may be, once in a while.
    """
    nulls = train.isna().sum()
    return {
        str(name): float((count + 1) / (len(train) + 2))
        for name, count in nulls.items()
        if count < len(train)
    }
