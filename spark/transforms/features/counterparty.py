"""Windows over the payments of a counterparty: delayed risk, and number of payers.

Delayed risk: the fraud-detection handbook (Le Borgne et al.), chapter 3, terminal risk. Smoothing:
Micci-Barreca, A Preprocessing Scheme for High-Cardinality Categorical Attributes, SIGKDD
Explorations 3, 2001. Fan-in: many payers and one payee, a typology of money laundering
that IBM's simulator AMLSim builds in.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts.features import (
    LABEL_DELAY_DAYS,
    MERCHANT_WINDOW_DAYS,
    PAYEE_WINDOW_DAYS,
    PRIOR_PAYMENTS,
    PRIOR_SHARE,
)
from spark.transforms.features.groups import DAY, Groups, Ints, until

_DELAY: Final = LABEL_DELAY_DAYS * DAY


def counterparty_windows(
    groups: Groups, fraud_micros: Ints, presence: dict[str, Any]
) -> dict[str, pa.Array]:
    """Return the features of the payments of a counterparty, null without a counterparty.

    `fraud_micros` is when a payment became known as fraud, negative if it is not known; `presence`
    marks where the presence of a payer begins and ends (`novelty.presence`).

    >>> groups = Groups.of(np.array([0, 0]), np.array([0, 10 * DAY]))
    >>> names = [f"{edge}_{days}d" for edge in ("begins", "ends") for days in PAYEE_WINDOW_DAYS]
    >>> presence = {name: np.array([True, True]) for name in names}
    >>> windows = counterparty_windows(groups, np.array([DAY, -1]), presence)
    >>> windows["merchant_fraud_share_7d"].to_pylist()
    [0.0, 1.0]
    """
    features = {}
    known = groups.before(_DELAY)
    fraud_known = fraud_micros[groups.order]
    for days in MERCHANT_WINDOW_DAYS:
        count = known - groups.before(_DELAY + days * DAY)
        frauds = _frauds(groups, fraud_known, days * DAY)
        share = np.zeros(len(count))
        np.divide(frauds, count, out=share, where=count > 0)
        features[f"merchant_transaction_count_{days}d"] = groups.placed(count)
        features[f"merchant_fraud_share_{days}d"] = groups.placed(share)
        if days == max(MERCHANT_WINDOW_DAYS):
            smoothed = smoothed_share(frauds, count)
            features[f"merchant_fraud_share_smoothed_{days}d"] = groups.placed(smoothed)
    through = groups.through()
    for days in PAYEE_WINDOW_DAYS:
        begun = groups.running(presence[f"begins_{days}d"])
        ended = groups.running(presence[f"ends_{days}d"])
        present = begun[through] - ended[groups.before(days * DAY)]
        features[f"payee_payer_count_{days}d"] = groups.placed(present)
    return features


def fraud_micros(payments: pa.Table, frauds: pa.Table) -> pa.Array:
    """Return when each payment became known as fraud, null if it is not known.

    `frauds` has one row for each known fraud.

    >>> payments = pa.table({"source_system": ["shop", "shop"], "event_id": ["e1", "e2"]})
    >>> frauds = pa.table({"source_system": ["shop"], "event_id": ["e2"], "fraud_micros": [5]})
    >>> fraud_micros(payments, frauds).to_pylist()
    [None, 5]
    """
    known_at = pa.nulls(payments.num_rows, pa.int64())
    for source in pc.unique(frauds["source_system"]).to_pylist():
        own = frauds.filter(pc.equal(frauds["source_system"], source))
        place = pc.index_in(payments["event_id"], own["event_id"].combine_chunks())
        is_own = pc.equal(payments["source_system"], source)
        known_at = pc.if_else(is_own, own["fraud_micros"].take(place), known_at)
    return known_at


def _frauds(groups: Groups, fraud_known: Ints, width: int) -> Ints:
    """Return the number of frauds that count at each payment.

    A fraud at s, known at k, counts in [max(s + delay, k), s + delay + width).
    """
    starts = np.maximum(groups.micros + _DELAY, fraud_known)
    ends = groups.micros + (_DELAY + width)
    at = np.flatnonzero((fraud_known >= 0) & (starts < ends))
    order = at[np.lexsort((starts[at], groups.codes[at]))]
    begun = until(groups.codes[order], starts[order], groups.codes, groups.micros)
    ended = until(groups.codes[at], ends[at], groups.codes, groups.micros)
    return begun - ended


def smoothed_share(frauds: Any, payments: Any) -> Any:
    """Return the fraud share with the declared prior, `PRIOR_PAYMENTS` at `PRIOR_SHARE`.

    The arguments are numbers, arrays or columns.

    >>> smoothed_share(0, 0)
    0.01
    """
    assumed = PRIOR_PAYMENTS * PRIOR_SHARE
    return (frauds + assumed) / (payments + float(PRIOR_PAYMENTS))
