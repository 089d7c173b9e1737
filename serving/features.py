"""Features and velocities of one payment, by the kernels of the batch line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from contracts.features import FEATURES, KnownAt
from contracts.render import to_arrow
from contracts.serving_tables import RECENT_PAYMENT
from ml.matrix import to_matrix
from serving.store import COUNTS, RECENT, OnlineStore, Payment, counts_for_kernel
from spark.transforms.features import (
    RECEIVED,
    Filled,
    finished,
    of_counterparties,
    of_customers,
    wanted_of,
)
from spark.transforms.features.category import CATEGORY_RISK
from spark.transforms.features.groups import in_order
from spark.transforms.features.received import with_receipts
from spark.transforms.features.velocity import velocities

_SCHEMA: Final = pa.schema([to_arrow.schema(RECENT).field(name) for name in RECENT_PAYMENT])


@dataclass(frozen=True)
class Figures:
    """What models and rules read of a payment.

    `features` is its row of sandbox.features, `velocities` the figures `VELOCITIES` by name.
    """

    features: pa.Table
    velocities: Mapping[str, Any]

    @cached_property
    def matrix(self) -> pd.DataFrame:
        """Return the features as models read them."""
        return to_matrix(self.features)


class NoStore:
    """An online store without payments, for when the real one is away."""

    def events(self, payment: Payment) -> pa.Table:
        """Return no payment."""
        return to_arrow.schema(RECENT).empty_table()

    def category_counts(self, payment: Payment) -> pa.Table:
        """Return no count."""
        return counts_for_kernel(to_arrow.schema(COUNTS).empty_table())


def figures_alone(payment: Payment, filled: Filled) -> Figures:
    """Return the figures of a payment that need no other payment; all others are null."""
    figures = figures_of(payment, NoStore(), filled)
    of_others = {one.name for one in FEATURES if one.known is not KnownAt.EVENT}
    features = {
        name: pa.nulls(1, column.type) if name in of_others else column
        for name, column in zip(figures.features.column_names, figures.features, strict=True)
    }
    hour = figures.velocities["local_hour_of_day"]
    return Figures(pa.table(features), {"local_hour_of_day": hour})


def figures_of(payment: Payment, store: OnlineStore, filled: Filled) -> Figures:
    """Return features and velocities of a payment, from the payments in the online store.

    A payment that the store has keeps its position there among the payments of the same instant.
    """
    wanted, _ = wanted_of(filled)
    rows = _with_events(payment, store.events(payment))
    of_card = in_order(rows.filter(pc.equal(rows["customer_id"], payment["customer_id"])))
    own = pc.index(of_card["is_wanted"], True).as_py()
    recent = {name: figure[own].as_py() for name, figure in velocities(of_card).items()}
    counts = store.category_counts(payment) if CATEGORY_RISK in wanted else None
    if RECEIVED in wanted:
        rows = with_receipts(rows)
    rows = of_counterparties(of_customers(rows, filled), filled, counts)
    return Figures(pa.Table.from_batches(finished(rows, filled)), recent)


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
