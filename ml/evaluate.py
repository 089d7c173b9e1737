"""Metrics of a ranking of payments, as fraud teams use them; accuracy is not reported.

"Handbook" is Le Borgne, Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card
Fraud Detection, 2022.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from contracts.evaluation import CALIBRATION_EDGES, CARDS_A_DAY

REVIEW_SHARE: Final = 0.02
"""Share of the payments of a day that can be reviewed: about twice the usual fraud share."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ScoredPayments:
    """Scored payments of a test period; each array has one entry for each payment."""

    score: Floats
    is_fraud: Flags
    amount: Floats
    customer: npt.NDArray[Any]
    day: npt.NDArray[Any]

    def where(self, mask: Flags) -> ScoredPayments:
        """Return the payments that `mask` selects."""
        return ScoredPayments(
            self.score[mask],
            self.is_fraud[mask],
            self.amount[mask],
            self.customer[mask],
            self.day[mask],
        )

    def with_scores(self, score: Floats) -> ScoredPayments:
        """Return the same payments with other scores."""
        return ScoredPayments(score, self.is_fraud, self.amount, self.customer, self.day)


def _mean(values: Floats | Flags) -> float:
    return float(values.mean()) if len(values) else float("nan")


def average_precision(payments: ScoredPayments) -> float:
    """Return the step-wise area under the precision-recall curve; NaN without a fraud.

    Source: scikit-learn `average_precision_score`; handbook, chapter 4.
    """
    if not payments.is_fraud.any():
        return float("nan")
    return float(average_precision_score(payments.is_fraud, payments.score))


def roc_auc(payments: ScoredPayments) -> float:
    """Return the area under the ROC curve; NaN without both classes.

    Source: scikit-learn `roc_auc_score`; handbook, chapter 4.
    """
    if payments.is_fraud.all() or not payments.is_fraud.any():
        return float("nan")
    return float(roc_auc_score(payments.is_fraud, payments.score))


def card_precision(payments: ScoredPayments, k: int = CARDS_A_DAY) -> float:
    """Return the mean over days of the share of compromised cards among the day's top k.

    The score and the label of a card are the maximum over its payments of the day. A compromised
    card that was among the top k is excluded on later days. Ties are sorted by card name, so that
    the result is the same on every machine. A day with fewer than k cards is divided by k too.

    Source: handbook, chapter 4, `card_precision_top_k`.
    """
    frame = pd.DataFrame(
        {
            "day": payments.day,
            "card": payments.customer,
            "score": payments.score,
            "is_fraud": payments.is_fraud,
        }
    )
    detected: set[Any] = set()
    shares: list[float] = []
    for _, rows in frame.groupby("day", sort=True):
        cards = rows[~rows["card"].isin(detected)].groupby("card", sort=True).max()
        top = cards.sort_values("score", ascending=False, kind="stable").head(k)
        hits = top.index[top["is_fraud"]]
        detected.update(hits)
        shares.append(len(hits) / k)
    return float(np.mean(shares)) if shares else float("nan")


def card_precision_ceiling(payments: ScoredPayments, k: int = CARDS_A_DAY) -> float:
    """Return the card precision of a perfect ranking, the upper bound for any model."""
    return card_precision(payments.with_scores(payments.is_fraud.astype(np.float64)), k)


def recall_at_budget(payments: ScoredPayments, share: float = REVIEW_SHARE) -> float:
    """Return the share of frauds among the top `share` of payments of their day.

    The budget of a day is rounded up to whole payments; ties are sorted by row.

    Source: recall at top-k per day, handbook, chapter 4, with k as a share of the day's payments.
    """
    if not payments.is_fraud.any():
        return float("nan")
    frame = pd.DataFrame({"day": payments.day, "score": payments.score})
    rank = frame.groupby("day")["score"].rank(method="first", ascending=False)
    budget = np.ceil(frame.groupby("day")["score"].transform("size") * share)
    return float(payments.is_fraud[(rank <= budget).to_numpy()].sum() / payments.is_fraud.sum())


def precision_at(payments: ScoredPayments, threshold: float) -> float:
    """Return the share of frauds among payments scored at or above `threshold`; NaN if none is."""
    alerts = payments.score >= threshold
    return float(payments.is_fraud[alerts].mean()) if alerts.any() else float("nan")


def recall_at(payments: ScoredPayments, threshold: float) -> float:
    """Return the share of frauds scored at or above `threshold`; NaN without a fraud."""
    if not payments.is_fraud.any():
        return float("nan")
    return float((payments.score[payments.is_fraud] >= threshold).mean())


def value_recall_at(payments: ScoredPayments, threshold: float) -> float:
    """Return the share of defrauded money scored at or above `threshold`; NaN without any.

    Source: savings of cost-sensitive detection (Bahnsen et al. 2016), without a cost of review.
    """
    lost = payments.amount[payments.is_fraud]
    if not lost.sum():
        return float("nan")
    return float(lost[payments.score[payments.is_fraud] >= threshold].sum() / lost.sum())


def brier(payments: ScoredPayments) -> float:
    """Return the mean squared difference of score and label; NaN without payments.

    Source: Brier 1950; scikit-learn `brier_score_loss`.
    """
    if not len(payments.score):
        return float("nan")
    return float(brier_score_loss(payments.is_fraud.astype(int), payments.score, pos_label=1))


def brier_skill(payments: ScoredPayments) -> float:
    """Return one minus the Brier score over the Brier score of always predicting the prevalence.

    Above 0, the scores are better than the base rate. Source: Murphy 1973.
    """
    prevalence = _mean(payments.is_fraud)
    constant = prevalence * (1 - prevalence)
    return 1 - brier(payments) / constant if constant else float("nan")


@dataclass(frozen=True)
class CalibrationBin:
    """Payments with a score in [low, high); the last bin includes 1."""

    low: float
    high: float
    payments: int
    mean_score: float
    fraud_share: float


def calibration_table(payments: ScoredPayments) -> tuple[CalibrationBin, ...]:
    """Return predicted and observed fraud by score; empty bins are omitted.

    The edges are fixed, with narrow bins for low scores, so that tables of two models are
    comparable. Source: reliability diagram, Niculescu-Mizil and Caruana 2005.
    """
    edges = np.asarray(CALIBRATION_EDGES)
    bins = np.clip(np.digitize(payments.score, edges) - 1, 0, len(edges) - 2)
    return tuple(
        CalibrationBin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            payments=int((bins == index).sum()),
            mean_score=float(payments.score[bins == index].mean()),
            fraud_share=float(payments.is_fraud[bins == index].mean()),
        )
        for index in np.unique(bins)
    )


@dataclass(frozen=True)
class Metrics:
    """The report of one model on one test period."""

    average_precision: float
    auc: float
    card_precision_100: float
    card_precision_ceiling: float
    recall_at_budget: float
    threshold: float
    precision: float
    recall: float
    value_recall: float
    brier: float
    brier_skill: float
    prevalence: float
    mean_score: float
    rows: int
    frauds: int

    def to_dict(self) -> dict[str, float]:
        """Return the metrics by name, without NaN."""
        return {name: value for name, value in asdict(self).items() if value == value}


def report(payments: ScoredPayments, threshold: float) -> Metrics:
    """Compute all metrics."""
    return Metrics(
        average_precision=average_precision(payments),
        auc=roc_auc(payments),
        card_precision_100=card_precision(payments),
        card_precision_ceiling=card_precision_ceiling(payments),
        recall_at_budget=recall_at_budget(payments),
        threshold=threshold,
        precision=precision_at(payments, threshold),
        recall=recall_at(payments, threshold),
        value_recall=value_recall_at(payments, threshold),
        brier=brier(payments),
        brier_skill=brier_skill(payments),
        prevalence=_mean(payments.is_fraud),
        mean_score=_mean(payments.score),
        rows=len(payments.score),
        frauds=int(payments.is_fraud.sum()),
    )
