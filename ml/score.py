"""Scores of feature rows, as rows of staging.scores."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from contracts.features import FEATURES, LOOKBACK_DAYS, KnownAt
from contracts.render import to_arrow
from contracts.tables import TABLES
from ml import drift
from ml.champion import Champion
from ml.errors import FeatureListChanged
from ml.matrix import to_matrix
from ml.reason_sentences import Reason, reasons_of
from ml.reasons import explain

if TYPE_CHECKING:
    import pyarrow as pa

_CHANCE: Final = 1e-6
"""Probability below which nulls in every row of a batch are not a coincidence."""
_OF_HISTORY: Final = {one.name for one in FEATURES if one.known is not KnownAt.EVENT}
_SAME_ALL_DAY: Final = {one.name for one in FEATURES if one.is_same_all_day}


def lost_inputs(champion: Champion, features: pa.Table) -> dict[str, int]:
    """Return the inputs that are null in all rows but not in training, with the number of rows.

    The probability that an input is null in all n rows of a batch is its null share to the power of
    n. Features of history are checked from `LOOKBACK_DAYS` after its start on, because earlier
    batches may have no history.
    """
    passport, matrix = champion.passport, _matrix(champion, features)
    day = pd.to_datetime(features["event_date"].to_pandas())
    first = pd.Timestamp(passport.first_date)
    has_history = (day >= first + timedelta(days=LOOKBACK_DAYS)).to_numpy(dtype=bool)
    lost = {}
    for name in passport.inputs:
        values = matrix[name]
        if name in _OF_HISTORY:
            values = values[has_history]
        is_chance = passport.null_share[name] ** len(values) >= _CHANCE
        if values.isna().all() and not is_chance:
            lost[name] = len(values)
    return lost


def _matrix(champion: Champion, features: pa.Table) -> pd.DataFrame:
    return to_matrix(features, champion.passport.source_features)


def score_rows(
    champion: Champion, features: pa.Table, *, snapshot: int, run_id: str, scored_at: datetime
) -> pa.Table:
    """Score every row of `features`; the result has the declared columns of staging.scores.

    Rows have reasons from the medium band on.

    Raises:
        FeatureListChanged: when the champion reads other features.
    """
    import pyarrow as pa

    if not champion.passport.is_current:
        raise FeatureListChanged(
            f"{champion.title} reads version {champion.passport.feature_list_version} of the"
            " feature list, which the platform no longer computes: run train_fraud_model."
        )
    matrix = _matrix(champion, features)[list(champion.passport.inputs)]
    rows = len(matrix)
    score = champion.score(matrix) if rows else np.empty(0)
    bands = champion.passport.bands
    explained = np.flatnonzero(score >= bands.medium)
    typical = champion.passport.typical
    names = explain(champion.model, matrix.iloc[explained], typical)
    payments = features.take(explained).to_pylist()
    reasons: list[list[Reason]] = [[] for _ in range(rows)]
    for row, payment, causes in zip(explained, payments, names, strict=True):
        reasons[row] = reasons_of((), causes, payment, typical)
    values = {
        "event_id": features["event_id"],
        "source_system": features["source_system"],
        "event_date": features["event_date"],
        "model_name": [champion.name] * rows,
        "model_version": [champion.version] * rows,
        "feature_list_version": [champion.passport.feature_list_version] * rows,
        "feature_snapshot_id": [snapshot] * rows,
        "score": score,
        "risk_level": bands.levels(score),
        "decision": bands.decisions(score),
        "reason_codes": [[one.code for one in some] for some in reasons],
        "reason_sentences": [[one.sentence for one in some] for some in reasons],
        "scored_at": [scored_at] * rows,
        "run_id": [run_id] * rows,
    }
    schema = to_arrow.schema(TABLES["staging.scores"])
    return pa.table(
        {
            field.name: values[field.name].cast(field.type)
            if isinstance(values[field.name], pa.ChunkedArray)
            else pa.array(values[field.name], field.type)
            for field in schema
        },
        schema=schema,
    )


def drift_rows(champion: Champion, features: pa.Table, *, source: str, run_id: str) -> pa.Table:
    """Return the drift of each input from training by day, as rows of staging.feature_drift.

    Inputs with one value for all payments of a day have no rows, and neither has a champion without
    recorded distributions.
    """
    import pyarrow as pa

    day = np.asarray(features["event_date"].to_pylist(), dtype=object)
    known = champion.passport.distributions
    comparable = {
        name: known[name]
        for name in champion.passport.inputs
        if name in known and name not in _SAME_ALL_DAY
    }
    lines = drift.of_days(comparable, _matrix(champion, features), day)
    about = {
        "source_system": source,
        "model_name": champion.name,
        "model_version": champion.version,
        "run_id": run_id,
    }
    schema = to_arrow.schema(TABLES["staging.feature_drift"])
    return pa.Table.from_pylist([{**about, **line} for line in lines], schema)
