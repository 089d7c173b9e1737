"""From feature rows and a model to rows of staging.scores."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from contracts.render import to_arrow
from contracts.tables import TABLES
from ml.champion import Champion
from ml.errors import FeatureListChanged
from ml.matrix import to_matrix
from ml.reasons import explain

if TYPE_CHECKING:
    import pyarrow as pa


def score_rows(
    champion: Champion, features: pa.Table, *, snapshot: int, run_id: str, scored_at: datetime
) -> pa.Table:
    """Score every row of `features`; the result has the declared columns of staging.scores.

    Reasons are given from the medium band on: nobody asks why a payment was harmless.

    Raises:
        FeatureListChanged: when the champion reads other features.
    """
    import pyarrow as pa

    if not champion.passport.is_current:
        raise FeatureListChanged(
            f"{champion.title} reads version {champion.passport.feature_list_version} of the"
            " feature list, which the platform no longer computes: run train_fraud_model."
        )
    matrix = to_matrix(features)
    rows = len(matrix)
    score = champion.model.predict_proba(matrix)[:, 1] if rows else np.empty(0)
    bands = champion.passport.bands
    worth_telling = np.flatnonzero(score >= bands.medium)
    reasons: list[list[str]] = [[] for _ in range(rows)]
    told = explain(champion.model, matrix.iloc[worth_telling], champion.passport.typical)
    for row, names in zip(worth_telling, told, strict=True):
        reasons[row] = names
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
        "score_reasons": reasons,
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
