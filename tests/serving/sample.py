"""The sample of Sparkov as the lake has it, without tokens."""

from typing import Any

import pyarrow as pa

from contracts.render import to_arrow
from contracts.serving_tables import RECENT_PAYMENT
from contracts.tables import TABLES
from spark.jobs.column_coverage import columns_filled
from spark.transforms.features import computed, frauds_of
from tests.spark.test_features import sample

FILLED = {"sparkov": columns_filled("sparkov")}


def lake(step: str = "s") -> tuple[pa.Table, pa.Table]:
    """Return payments, in order, with times rounded down to a step, and their labels."""
    rows = sample()
    rows = rows.assign(
        event_at=rows["event_at"].dt.floor(step),
        instrument_id="card of " + rows["customer_id"].astype(str),
        customer_id=rows["customer_id"].astype(str),
        currency="USD",
    ).sort_values(["event_at", "source_sequence", "event_id"], ignore_index=True)
    declared = to_arrow.schema(TABLES["processed.transactions"])
    fields = [declared.field(name).with_nullable(True) for name in RECENT_PAYMENT]
    payments = pa.Table.from_pandas(rows[list(RECENT_PAYMENT)], _floats(fields), False)
    payments = payments.cast(pa.schema(fields))
    names = ("source_system", "event_id", "is_fraud", "known_at")
    labels = pa.Table.from_pandas(rows[list(names)], preserve_index=False)
    declared = to_arrow.schema(TABLES["processed.labels"])
    return payments, labels.cast(pa.schema([declared.field(name) for name in names]))


def _floats(fields: list[Any]) -> pa.Schema:
    """Return the fields with amounts as they are in the file."""
    return pa.schema(
        [field.with_type(pa.float64()) if field.name == "amount" else field for field in fields]
    )


def features_of_all(payments: pa.Table, labels: pa.Table) -> pa.Table:
    """Return the features of all payments, as the batch line computes them at once."""
    return pa.Table.from_batches(computed(payments, FILLED, frauds_of(labels)))
