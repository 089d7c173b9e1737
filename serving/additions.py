"""What was added to the online store since its fills: payments of decisions and of the stream.

The decision log and serving.streamed_payments keep what was added and when. A fill of Redis adds
again what is later than the lake, and the replay of a decision reads what was there before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from contracts.serving_tables import RECENT_PAYMENT
from contracts.tables import TABLES
from serving.decision_chain import DECISIONS
from serving.redis_store import RedisStore
from serving.store import RECENT, PostgresStore

STREAMED: Final = TABLES["serving.streamed_payments"]
_LOGGED: Final = ", ".join(
    f"{'log' if name in DECISIONS.column_names else 'payment'}.{name}"
    for name in RECENT.column_names
)
_OF_STREAM: Final = ", ".join(
    name if name in RECENT_PAYMENT else f"null as {name}" for name in RECENT.column_names
)
ADDED: Final = (
    f"select {_LOGGED}, log.decided_at as added_at, log.chain_position"  # noqa: S608 - our own names
    f" from {DECISIONS.name} log,"
    f" jsonb_populate_record(null::{RECENT.name}, log.request::jsonb) payment"
    f" union all select {_OF_STREAM}, added_at, null from {STREAMED.name}"
)
"""Rows of serving.recent_payments with `added_at`, and `chain_position` for those of decisions."""
_ADD: Final = (
    f"insert into {STREAMED.name} ({', '.join(STREAMED.column_names)})"  # noqa: S608 - our own names
    f" values ({', '.join(f'%({name})s' for name in STREAMED.column_names)})"
    " on conflict do nothing"
)


def fill_lock(source: str) -> str:
    """Return the name of the advisory lock of a source's store: shared to add, own to fill."""
    return f"online store {source}"


def add_streamed(
    connection: psycopg.Connection,
    source: str,
    payments: Sequence[dict[str, Any]],
    redis: RedisStore | None,
) -> None:
    """Add payments of the stream to the online store, except for those that it has.

    `redis` is the store; None stands for the one in the warehouse. Use the connection of a
    transaction, which has to be committed: until then a fill of the source waits.

    Raises:
        OnlineStoreError: when Redis is away or has no payments of the source.
        psycopg.Error: when Postgres is away, or a fill takes longer than the lock timeout.
    """
    name = fill_lock(source)
    connection.execute("select pg_advisory_xact_lock_shared(hashtext(%s))", (name,))
    now = datetime.now(UTC)
    rows = [
        {column: payment.get(column) for column in RECENT_PAYMENT} | {"added_at": now}
        # The API adds in this order too, so that neither waits for the other.
        for payment in sorted(payments, key=lambda payment: str(payment["event_id"]))
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_ADD.encode(), rows)
    (redis or PostgresStore(connection)).add(rows)
