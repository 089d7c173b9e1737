"""The online store: the earlier payments that the features of a payment read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_ASKED: Final = (
    "with asked as (select * from unnest(%(event_id)s::text[], %(customer_id)s::text[],"
    " %(counterparty_id)s::text[], %(event_at)s::timestamptz[])"
    " as one (event_id, customer_id, counterparty_id, event_at)) "
)
_STORED: Final = (
    f"select {', '.join(f'stored.{name}' for name in RECENT.column_names)}"  # noqa: S608 - our names
    f" from asked join {RECENT.name} stored on stored.source_system = %(source_system)s"
)
_EARLIER: Final = f"{_STORED} and stored.event_at <= asked.event_at"
# One join for each index: a condition with `or`, or a join with the identifiers that are found,
# reads the whole table.
_EVENTS: Final = _ASKED + " union ".join(
    (
        f"{_EARLIER} and stored.customer_id = asked.customer_id"
        f" and stored.event_at > asked.event_at - interval '{HISTORY_DAYS} days'",
        f"{_EARLIER} and stored.counterparty_id = asked.counterparty_id"
        f" and stored.event_at > asked.event_at - interval '{LOOKBACK_DAYS} days'",
        # Money that the customer received.
        f"{_EARLIER} and stored.counterparty_id = asked.customer_id"
        " and stored.counterparty_type = 'customer'"
        " and stored.event_at > asked.event_at - interval '1 day'",
        # Its own row, if the store has it.
        f"{_STORED} and stored.event_id = asked.event_id",
    )
)
_CATEGORY: Final = (
    f"select {', '.join(COUNTS.column_names)} from {COUNTS.name}"  # noqa: S608 - our own names
    " where source_system = %(source_system)s and merchant_category = any(%(categories)s)"
    f" and payment_day between %(first)s - {LOOKBACK_DAYS + 1} and %(last)s"
)
_ADD: Final = (
    f"insert into {RECENT.name} ({', '.join(RECENT_PAYMENT)})"  # noqa: S608 - our own names
    f" values ({', '.join(f'%({name})s' for name in RECENT_PAYMENT)}) on conflict do nothing"
)


class OnlineStore(Protocol):
    """Recent payments of a source, by customer and by counterparty."""

    def events(self, payments: Sequence[Payment]) -> pa.Table:
        """Return the payments that features and velocities of `payments` of a source read.

        These are, for each, up to its time, the payments of its customer in `HISTORY_DAYS`, those
        of its counterparty in `LOOKBACK_DAYS`, those to its customer in a day, and the payment
        itself if the store has it. Columns: those of serving.recent_payments.
        """

    def category_counts(self, payments: Sequence[Payment]) -> pa.Table:
        """Return the counts of the merchant categories that features of `payments` read.

        Columns: those that `spark.transforms.features.category.counts_of` returns.
        """


class PostgresStore:
    """The online store in SERVING, read and written in the transaction of a connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Use a connection of the role `api`."""
        self._connection = connection

    def events(self, payments: Sequence[Payment]) -> pa.Table:
        """Return the payments that the features of payments read."""
        names = ("event_id", "customer_id", "counterparty_id", "event_at")
        asked = {name: [payment[name] for payment in payments] for name in names}
        asked["source_system"] = payments[0]["source_system"]
        return _table(self._select(_EVENTS, asked), to_arrow.schema(RECENT))

    def category_counts(self, payments: Sequence[Payment]) -> pa.Table:
        """Return the counts of the categories of payments."""
        days = [int(payment["event_at"].timestamp() // _DAY_SECONDS) for payment in payments]
        categories = {payment["merchant_category"] for payment in payments} - {None}
        asked = {
            "source_system": payments[0]["source_system"],
            "categories": sorted(categories),
            "first": min(days),
            "last": max(days),
        }
        return counts_for_kernel(_table(self._select(_CATEGORY, asked), to_arrow.schema(COUNTS)))

    def add(self, payments: Sequence[Payment]) -> None:
        """Add payments for the features of later ones, except for those that the store has."""
        values = [{name: payment[name] for name in RECENT_PAYMENT} for payment in payments]
        with self._connection.cursor() as cursor:
            cursor.executemany(_ADD.encode(), values)

    def _select(self, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with self._connection.cursor(binary=True) as cursor:
            return cursor.execute(query.encode(), parameters, prepare=True).fetchall()


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
