"""Drift of the features of a day from the training data of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

_BINS: Final = 10
_LEAST: Final = 1e-4
"""Share that replaces the share of an empty bin."""


@dataclass(frozen=True)
class Distribution:
    """Distribution of values in training.

    Attributes:
        edges: upper edges of the bins but the last, which has none; each edge is in its bin.
        shares: of each bin, then of nulls, among all rows.
        mean: of the values that are not null; None without any.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    mean: float | None

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Distribution:
        """Return the distribution from a dict of `dataclasses.asdict`, with lists for tuples."""
        return cls(tuple(plain["edges"]), tuple(plain["shares"]), plain["mean"])

    @property
    def null_share(self) -> float:
        """Return the share of rows without a value."""
        return self.shares[-1]


def describe(values: Floats, bins: int = _BINS) -> Distribution:
    """Return the distribution of `values`, NaN for null.

    Bins are quantiles. If there are only a few distinct values, each has a separate bin, so that a
    rare flag is not in the bin of the usual value.
    """
    known = values[~np.isnan(values)]
    different = np.unique(known)
    if len(different) <= bins:
        edges = different[:-1]
    else:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
    return Distribution(
        tuple(edges.tolist()),
        tuple(_shares(values, edges).tolist()),
        float(known.mean()) if len(known) else None,
    )


def stability_index(expected: Distribution, values: Floats) -> float:
    """Return the population stability index of `values` against a distribution.

    Nulls are a bin too. An index below 0.1 is a small shift, above 0.25 a large one; n values
    without a shift have an index of about the number of bins over n. Source: Siddiqi, Credit Risk
    Scorecards, 2006.
    """
    before = np.maximum(expected.shares, _LEAST)
    after = np.maximum(_shares(values, np.asarray(expected.edges)), _LEAST)
    return float(((after - before) * np.log(after / before)).sum())


def of_days(
    expected: Mapping[str, Distribution], matrix: pd.DataFrame, day: npt.NDArray[Any]
) -> list[dict[str, Any]]:
    """Return rows of staging.feature_drift, one for each day and feature of `expected`."""
    lines = []
    for today in np.unique(day):
        rows = matrix[day == today]
        for name, known in expected.items():
            values = rows[name].to_numpy()
            now = describe(values)
            lines.append(
                {
                    "event_date": today,
                    "feature_name": name,
                    "transaction_count": len(values),
                    "stability_index": stability_index(known, values),
                    "feature_mean": now.mean,
                    "training_mean": known.mean,
                    "null_share": now.null_share,
                    "training_null_share": known.null_share,
                }
            )
    return lines


def _shares(values: Floats, edges: Floats) -> Floats:
    is_null = np.isnan(values)
    counts = np.bincount(np.searchsorted(edges, values[~is_null]), minlength=len(edges) + 1)
    return np.append(counts, is_null.sum()) / len(values)
