"""The online store: the earlier payments that the features of a payment read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

import psycopg
import pyarrow as pa

from contracts.features import HISTORY_DAYS, LOOKBACK_DAYS
from contracts.render import to_arrow
from contracts.serving_tables import RECENT_PAYMENT
from contracts.tables import TABLES

RECENT: Final = TABLES["serving.recent_payments"]
COUNTS: Final = TABLES["serving.category_counts"]
Payment = Mapping[str, Any]
"""A payment by the names of `RECENT_PAYMENT`, with tokens and rounded places."""
_DAY_SECONDS: Final = 86_400
_NAMES: Final = ", ".join(RECENT.column_names)
_OF_SOURCE: Final = (
    f"select {_NAMES} from {RECENT.name} where source_system = %(source_system)s"  # noqa: S608 - our own names
    " and event_at <= %(event_at)s"
)
_EVENTS: Final = " union ".join(
    (
        f"{_OF_SOURCE} and customer_id = %(customer_id)s"
        f" and event_at > %(event_at)s - interval '{HISTORY_DAYS} days'",
        f"{_OF_SOURCE} and counterparty_id = %(counterparty_id)s"
        f" and event_at > %(event_at)s - interval '{LOOKBACK_DAYS} days'",
        # Money that the customer received.
        f"{_OF_SOURCE} and counterparty_id = %(customer_id)s and counterparty_type = 'customer'"
        " and event_at > %(event_at)s - interval '1 day'",
        # Its own row, if the store has it.
        f"select {_NAMES} from {RECENT.name} where source_system = %(source_system)s"  # noqa: S608
        " and event_id = %(event_id)s",
    )
)
_CATEGORY: Final = (
    f"select {', '.join(COUNTS.column_names)} from {COUNTS.name}"  # noqa: S608 - our own names
    " where source_system = %(source_system)s and merchant_category = %(merchant_category)s"
    f" and payment_day between %(day)s - {LOOKBACK_DAYS + 1} and %(day)s"
)
_ADD: Final = (
    f"insert into {RECENT.name} ({', '.join(RECENT_PAYMENT)})"  # noqa: S608 - our own names
    f" values ({', '.join(f'%({name})s' for name in RECENT_PAYMENT)}) on conflict do nothing"
)


class OnlineStore(Protocol):
    """Recent payments, by customer and by counterparty."""

    def events(self, payment: Payment) -> pa.Table:
        """Return the payments up to the time of `payment` that its features and velocities read.

        These are the payments of its customer in `HISTORY_DAYS`, those of its counterparty in
        `LOOKBACK_DAYS`, those to its customer in a day, and the payment itself if the store has it.
        Columns: those of serving.recent_payments.
        """

    def category_counts(self, payment: Payment) -> pa.Table:
        """Return the counts of its merchant category that its features read.

        Columns: those that `spark.transforms.features.category.counts_of` returns.
        """


class PostgresStore:
    """The online store in SERVING, read and written in the transaction of a connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Use a connection of the role `api`."""
        self._connection = connection

    def events(self, payment: Payment) -> pa.Table:
        """Return the payments that the features of a payment read."""
        return _table(self._select(_EVENTS, payment), to_arrow.schema(RECENT))

    def category_counts(self, payment: Payment) -> pa.Table:
        """Return the counts of the category of a payment."""
        event_at: datetime = payment["event_at"]
        day = int(event_at.timestamp() // _DAY_SECONDS)
        rows = _table(self._select(_CATEGORY, {**payment, "day": day}), to_arrow.schema(COUNTS))
        return counts_for_kernel(rows)

    def add(self, payment: Payment) -> None:
        """Add a payment for the features of later ones, unless the store has it."""
        self._connection.execute(_ADD.encode(), {name: payment[name] for name in RECENT_PAYMENT})

    def _select(self, query: str, parameters: Payment) -> list[tuple[Any, ...]]:
        with self._connection.cursor(binary=True) as cursor:
            return cursor.execute(query.encode(), dict(parameters), prepare=True).fetchall()


def counts_for_kernel(rows: pa.Table) -> pa.Table:
    """Return rows of serving.category_counts as `counts_of` returns them.

    >>> row = {"source_system": "shop", "merchant_category": "food", "payment_day": 5}
    >>> rows = pa.Table.from_pylist([{**row, "known_day": -1, "payment_count": 2}])
    >>> counts_for_kernel(rows).select(["day", "known_day", "payments"]).to_pylist()
    [{'day': 5, 'known_day': None, 'payments': 2}]
    """
    import pyarrow.compute as pc

    known = rows["known_day"]
    return pa.table(
        {
            "source_system": rows["source_system"],
            "merchant_category": rows["merchant_category"],
            "day": rows["payment_day"],
            "known_day": pc.if_else(pc.less(known, 0), pa.scalar(None, pa.int64()), known),
            "payments": rows["payment_count"],
        }
    )


def _table(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, names=schema.names)
