"""Alerts for payments of the stream: the rules of fraud, and the champion on what is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from contracts.columns import COLUMNS, RISK_LEVELS
from contracts.fraud_rules import FraudRules, risk_of
from contracts.model_tables import PAYMENT_OF_ALERT, STREAM_ALERT
from contracts.render.to_arrow import arrow_type
from ml.matrix import to_matrix
from ml.reason_sentences import reasons_of
from ml.reasons import explain
from ml.threshold import DECISION_OF_LEVEL
from spark.jobs.stream_features import figures
from spark.transforms.features import Filled

if TYPE_CHECKING:
    from ml.champion import Champion

APPROVE: Final = DECISION_OF_LEVEL[0]
ALERT_SCHEMA: Final = pa.schema(
    [(name, arrow_type(COLUMNS[name].type)) for name in (*STREAM_ALERT, "ingested_at")]
)


def raise_alerts(
    batches: Iterator[pa.RecordBatch],
    *,
    filled: Filled,
    rules: FraudRules,
    champion: Champion | None,
) -> Iterator[pa.RecordBatch]:
    """Return the alerts for a task's rows of `stream_payments`, for use with `mapInArrow`."""
    for batch in figures(batches, filled=filled):
        yield from alerts(pa.Table.from_batches([batch]), rules, champion).to_batches()


def alerts(payments: pa.Table, rules: FraudRules, champion: Champion | None) -> pa.Table:
    """Return an alert (`STREAM_ALERT`) for each payment that is not approved.

    The risk is the higher one of the score's band and of the severest rule that fires. An alert has
    also the time at which its message arrived. Without a champion the columns of the model are
    null.
    """
    if not payments.num_rows:
        return ALERT_SCHEMA.empty_table()
    rows = payments.to_pylist()
    fired = [rules.fired(one) for one in rows]
    risk = np.array([risk_of(some) for some in fired])
    scores: list[float | None] = [None] * len(rows)
    if champion is not None:
        matrix = to_matrix(payments, champion.passport.source_features)
        score = champion.score(matrix)
        scores = score.tolist()
        risk = np.maximum(risk, champion.passport.bands.index(score))
    alerting = [n for n, level in enumerate(risk) if DECISION_OF_LEVEL[level] != APPROVE]
    names: dict[int, list[str]] = {}
    typical: Mapping[str, float] = {}
    if champion is not None:
        passport = champion.passport
        typical = passport.typical
        scored_high = [n for n in alerting if score[n] >= passport.bands.medium]
        inputs = matrix.loc[scored_high, list(passport.inputs)]
        names = dict(zip(scored_high, explain(champion.model, inputs, typical), strict=True))
    reasons = {n: reasons_of(fired[n], names.get(n, ()), rows[n], typical) for n in alerting}
    now = datetime.now(UTC)
    raised: list[dict[str, Any]] = [
        {
            **{name: rows[n][name] for name in (*PAYMENT_OF_ALERT, "ingested_at")},
            "rule_codes": [rule.code for rule in fired[n]],
            "rules_version": rules.version,
            "model_name": champion and champion.name,
            "model_version": champion and champion.version,
            "score": scores[n],
            "risk_level": RISK_LEVELS[risk[n]],
            "decision": DECISION_OF_LEVEL[risk[n]],
            "reason_codes": [one.code for one in reasons[n]],
            "reason_sentences": [one.sentence for one in reasons[n]],
            "detected_at": now,
        }
        for n in alerting
    ]
    return pa.Table.from_pylist(raised, ALERT_SCHEMA)
