"""Score the payments of a source, of some business dates, with its champion."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from contracts.results import Balance
from contracts.stage_results import ScoreResult
from ml.errors import FeatureListChanged, NoChampion

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog

    from contracts.settings import Settings
    from contracts.windows import Window

__all__ = ["FeatureListChanged", "NoChampion", "score"]


def score(
    settings: Settings,
    catalog: Catalog,
    *,
    dates: Sequence[date],
    snapshots: Mapping[str, int],
    window: Window,
    run_id: str,
) -> tuple[ScoreResult, pa.Table, pa.Table]:
    """Return the scores of the window's source on `dates`, and how its features drifted.

    The tables have the columns of staging.scores and staging.feature_drift.

    Payments of other sources on the same dates are left to their own champions.

    Args:
        settings: where MLflow is.
        catalog: the lake, for reading.
        dates: business dates, in any order.
        snapshots: recorded snapshots; without sandbox.features what is published now is read.
        window: the window whose run this is; its source is scored.
        run_id: the same over all retries of one run.

    Raises:
        NoChampion: when no model of the source was ever promoted; do not retry.
        FeatureListChanged: when the champion needs other features; do not retry.
        ConservationError: when a payment got no score, or two.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from ml import dataset, tracking
    from ml.champion import load_champion
    from ml.score import drift_rows, lost_inputs, score_rows

    started = time.monotonic()
    champion = load_champion(tracking.connect(settings), window.source)
    snapshot = dataset.snapshot_of(catalog, dataset.FEATURES_TABLE, snapshots)
    features = dataset.read_features(catalog, snapshot, window.source, dates)
    with threadpool_limits(limits=1):
        scores = score_rows(
            champion, features, snapshot=snapshot, run_id=run_id, scored_at=datetime.now(UTC)
        )
    drifted = drift_rows(champion, features, source=window.source, run_id=run_id)
    levels = Counter(scores["risk_level"].to_pylist())
    decisions = Counter(scores["decision"].to_pylist())
    result = ScoreResult(
        window=window,
        run_id=run_id,
        dates=tuple(sorted(set(dates))),
        snapshots={dataset.FEATURES_TABLE: snapshot},
        balances=_balances(features, scores),
        model_name=champion.name,
        model_version=champion.version,
        feature_list_version=champion.passport.feature_list_version,
        unused_features=champion.passport.unused,
        lost_inputs=lost_inputs(champion, features),
        threshold=champion.passport.bands.high,
        rows=scores.num_rows,
        alerts=decisions["review"] + decisions["decline"],
        risk_levels=dict(levels),
        seconds=round(time.monotonic() - started, 2),
    )
    return result.check(), scores, drifted


def _balances(features: pa.Table, scores: pa.Table) -> tuple[Balance, ...]:
    """Count payments read against payments scored, by source system and currency."""
    key = ["source_system", "event_id"]
    group = ["source_system", "currency"]
    flow = [("event_id", "count"), ("amount", "sum")]
    read = features.group_by(group).aggregate(flow).to_pylist()
    money = features.select([*group, "event_id", "amount"])
    scored = scores.select(key).join(money, key, join_type="left outer")
    out = {
        (line["source_system"], line["currency"]): line
        for line in scored.group_by(group).aggregate(flow).to_pylist()
    }
    return tuple(
        Balance(
            source_system=line["source_system"],
            currency=line["currency"],
            rows_in=line["event_id_count"],
            rows_out=out[line["source_system"], line["currency"]]["event_id_count"],
            amount_in=line["amount_sum"],
            amount_out=out[line["source_system"], line["currency"]]["amount_sum"],
        )
        for line in sorted(read, key=lambda line: (line["source_system"], line["currency"]))
    )
