"""Parity: one payment at a time from the online store gives the features of the batch line."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from contracts.features import FEATURE_NAMES
from ml.matrix import to_matrix
from serving.features import figures_of
from serving.redis_store import RedisStore
from serving.store import PostgresStore
from tests.serving.sample import FILLED, features_of_all, lake
from tests.serving.stores import Store

pytestmark = pytest.mark.postgres
_LATEST = 2**62
"""A position after those of all rows of files, as the time of arrival is."""


def replayed(store: PostgresStore | RedisStore, payments: pa.Table) -> pa.Table:
    """Return the features of payments, each computed as it arrives, before the next one."""
    rows = []
    for arrival, payment in enumerate(payments.to_pylist()):
        payment["source_sequence"] = _LATEST + arrival
        rows.append(figures_of([payment], store, FILLED).features)
        store.add([payment])
    return pa.concat_tables(rows)


def differences(one: pa.Table, other: pa.Table) -> dict[str, float]:
    """Return the largest difference of each feature that differs; infinite if one side is null."""
    assert one["event_id"].to_pylist() == other["event_id"].to_pylist()
    here, there = to_matrix(one), to_matrix(other)
    apart = (here - there).abs().where(here.notna() | there.notna(), 0.0).fillna(float("inf"))
    return {name: most for name in FEATURE_NAMES if (most := float(apart[name].max())) > 0}


def test_payments_that_arrive_one_by_one_have_the_features_of_the_batch_line(
    store: Store,
) -> None:
    # With times of whole hours, customers and merchants have several payments at the same instant.
    payments, labels = lake("h")
    expected = features_of_all(payments, labels)
    last = payments["event_date"][-1].as_py()
    store.fill_until(payments, labels, last - timedelta(1))
    is_new = pc.equal(payments["event_date"], last)
    with store.opened() as opened:
        found = replayed(opened, payments.filter(is_new))
    assert found.num_rows > 300
    assert differences(expected.filter(pc.equal(expected["event_date"], last)), found) == {}


def test_a_payment_that_the_store_has_keeps_its_features(store: Store) -> None:
    payments, labels = lake("h")
    expected = features_of_all(payments, labels)
    last = payments["event_date"][-1].as_py()
    store.fill_until(payments, labels, last)
    places = list(range(payments.num_rows - 1_200, payments.num_rows, 12))
    with store.opened() as opened:
        rows = [
            figures_of([payment | {"source_sequence": _LATEST}], opened, FILLED).features
            for payment in payments.take(pa.array(places)).to_pylist()
        ]
    assert differences(expected.take(pa.array(places)), pa.concat_tables(rows)) == {}


def test_a_customer_without_any_payment_has_features(store: Store) -> None:
    payments, labels = lake()
    store.fill_until(payments, labels, payments["event_date"][-1].as_py())
    payment: dict[str, Any] = payments.slice(0, 1).to_pylist()[0]
    payment |= {"customer_id": "nobody", "counterparty_id": None, "merchant_category": None}
    with store.opened() as opened:
        figures = figures_of([payment], opened, FILLED)
    row = figures.features.to_pylist()[0]
    assert row["customer_transaction_count_30d"] == 1
    assert row["is_new_merchant"] is None
    assert row["category_fraud_share_smoothed_30d"] is None
