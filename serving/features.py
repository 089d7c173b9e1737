"""Features and velocities of a few payments, by the kernels of the batch line."""

from __future__ import annotations

from collections.abc import Sequence
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
_OF_OTHERS: Final = {one.name for one in FEATURES if one.known is not KnownAt.EVENT}
_OF_EVENT: Final = "local_hour_of_day"
"""The figure of `VELOCITIES` that needs no other payment."""


@dataclass(frozen=True)
class Figures:
    """What models and rules read of payments, a row for each.

    `features` has rows of sandbox.features, `velocities` the figures `VELOCITIES`.
    """

    features: pa.Table
    velocities: pa.Table

    @cached_property
    def matrix(self) -> pd.DataFrame:
        """Return the features as models read them."""
        return to_matrix(self.features)

    def of(self, places: Sequence[int]) -> Figures:
        """Return the figures of the payments at these places."""
        if len(places) == self.features.num_rows:
            return self
        at = pa.array(places, pa.int64())
        return Figures(self.features.take(at), self.velocities.take(at))

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Return features and velocities of each payment by name."""
        both = zip(self.features.to_pylist(), self.velocities.to_pylist(), strict=True)
        return [features | recent for features, recent in both]


class NoStore:
    """An online store without payments, for when the real one is away."""

    def events(self, payments: Sequence[Payment]) -> pa.Table:
        """Return no payment."""
        return to_arrow.schema(RECENT).empty_table()

    def category_counts(self, payments: Sequence[Payment]) -> pa.Table:
        """Return no count."""
        return counts_for_kernel(to_arrow.schema(COUNTS).empty_table())


def figures_alone(payments: Sequence[Payment], filled: Filled) -> Figures:
    """Return the figures of payments that need no other payment; all others are null."""
    figures = figures_of(payments, NoStore(), filled)
    features = {
        name: pa.nulls(len(payments), column.type) if name in _OF_OTHERS else column
        for name, column in zip(figures.features.column_names, figures.features, strict=True)
    }
    return Figures(pa.table(features), figures.velocities.select([_OF_EVENT]))


def figures_of(payments: Sequence[Payment], store: OnlineStore, filled: Filled) -> Figures:
    """Return features and velocities of payments of a source, in their order.

    They read the payments in the online store, and each other. A payment that the store has keeps
    its position there among the payments of the same instant.
    """
    wanted, _ = wanted_of(filled)
    rows = _with_events(payments, store.events(payments))
    customers = pa.array({payment["customer_id"] for payment in payments})
    of_cards = in_order(rows.filter(pc.is_in(rows["customer_id"], customers)))
    recent = pa.table({"event_id": of_cards["event_id"], **velocities(of_cards)})
    counts = store.category_counts(payments) if CATEGORY_RISK in wanted else None
    if RECEIVED in wanted:
        rows = with_receipts(rows)
    rows = of_counterparties(of_customers(rows, filled), filled, counts)
    features = pa.Table.from_batches(finished(rows, filled))
    asked = pa.array([payment["event_id"] for payment in payments])
    return Figures(_picked(features, asked), _picked(recent, asked).drop_columns(["event_id"]))


def _picked(rows: pa.Table, event_ids: pa.Array) -> pa.Table:
    return rows.take(pc.index_in(event_ids, rows["event_id"].combine_chunks()))


def _with_events(payments: Sequence[Payment], events: pa.Table) -> pa.Table:
    """Return the payments after their events, without those among the events that are asked for."""
    asked = pa.array([payment["event_id"] for payment in payments])
    is_asked = pc.is_in(events["event_id"], asked)
    stored = events.filter(is_asked)
    sequence = dict(
        zip(stored["event_id"].to_pylist(), stored["source_sequence"].to_pylist(), strict=True)
    )
    own = pa.Table.from_pylist(
        [
            {**one, "source_sequence": sequence.get(one["event_id"], one["source_sequence"])}
            for one in payments
        ],
        _SCHEMA,
    )
    others = events.filter(pc.invert(is_asked))
    known = others["fraud_known_at"].cast(pa.int64())
    columns = {
        name: pa.chunked_array([*others[name].chunks, *own[name].chunks]) for name in _SCHEMA.names
    }
    columns["fraud_micros"] = pa.chunked_array([*known.chunks, pa.nulls(len(payments), pa.int64())])
    is_wanted = np.arange(others.num_rows + len(payments)) >= others.num_rows
    return pa.table({**columns, "is_wanted": is_wanted})
