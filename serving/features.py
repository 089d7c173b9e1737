"""Features and velocities of one payment, by the kernels of the batch line."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts.render import to_arrow
from contracts.serving_tables import RECENT_PAYMENT
from serving.store import RECENT, OnlineStore, Payment
from spark.transforms.features import (
    RECEIVED,
    Filled,
    finished,
    of_counterparties,
    of_customers,
    wanted_of,
)
from spark.transforms.features.category import CATEGORY_RISK
from spark.transforms.features.received import with_receipts

_SCHEMA: Final = pa.schema([to_arrow.schema(RECENT).field(name) for name in RECENT_PAYMENT])


def features_of(payment: Payment, store: OnlineStore, filled: Filled) -> pa.Table:
    """Return the row of sandbox.features of a payment, from the payments in the online store.

    A payment that the store has keeps its position there among the payments of the same instant.
    """
    wanted, _ = wanted_of(filled)
    rows = _with_events(payment, store.events(payment))
    counts = store.category_counts(payment) if CATEGORY_RISK in wanted else None
    if RECEIVED in wanted:
        rows = with_receipts(rows)
    rows = of_counterparties(of_customers(rows, filled), filled, counts)
    return pa.Table.from_batches(finished(rows, filled))


def _with_events(payment: Payment, events: pa.Table) -> pa.Table:
    is_own = pc.equal(events["event_id"], payment["event_id"])
    stored = events.filter(is_own)["source_sequence"].to_pylist()
    position = stored[0] if stored else payment["source_sequence"]
    own = pa.Table.from_pylist([{**payment, "source_sequence": position}], _SCHEMA)
    others = events.filter(pc.invert(is_own))
    known = others["fraud_known_at"].cast(pa.int64())
    columns = {
        name: pa.chunked_array([*others[name].chunks, *own[name].chunks]) for name in _SCHEMA.names
    }
    columns["fraud_micros"] = pa.chunked_array([*known.chunks, pa.nulls(1, pa.int64())])
    is_wanted = np.arange(others.num_rows + 1) == others.num_rows
    return pa.table({**columns, "is_wanted": is_wanted})
