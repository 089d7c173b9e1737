"""Both online stores behind one face, for tests that hold for each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from contracts.settings import Settings
from serving import docs_page
from serving.additions import add_streamed
from serving.decision import Decision
from serving.decision_log import DecisionLog, Entry
from serving.fill import KEPT_DAYS, recent, store_rows
from serving.redis_store import RedisStore
from serving.store import Payment, PostgresStore


@dataclass(frozen=True)
class Store:
    """An online store; `redis` is None for that in the warehouse."""

    settings: Settings
    redis: RedisStore | None

    def fill_until(self, payments: pa.Table, labels: pa.Table, last: date) -> None:
        """Fill the store as if the lake had no later payments."""
        days = payments["event_date"]
        first = last - timedelta(KEPT_DAYS - 1)
        rows = payments.filter(pc.and_(pc.greater_equal(days, first), pc.less_equal(days, last)))
        dsn = self.settings.warehouse.dsn("loader")
        store_rows(dsn, "sparkov", last, *recent(rows, labels), self.redis)

    @contextmanager
    def opened(self) -> Iterator[RedisStore | PostgresStore]:
        """Yield the store as the API uses it."""
        if self.redis is not None:
            yield self.redis
            return
        with psycopg.connect(self.settings.warehouse.dsn("api")) as connection:
            yield PostgresStore(connection)

    def decide(self, payments: Sequence[Payment]) -> None:
        """Record decisions on payments, and add the payments, as the API does."""
        entry = Entry("hash", msgspec.convert(docs_page.ANSWER, Decision))
        others = ("transaction_type", "channel", "payment_method", "ip_hash")
        entries = [({**dict.fromkeys(others), **one}, entry, "tester") for one in payments]
        with psycopg.connect(self.settings.warehouse.dsn("api")) as connection:
            DecisionLog(connection).add(entries)
        with self.opened() as store:
            store.add(payments)

    def stream(self, payments: Sequence[dict[str, Any]]) -> None:
        """Add payments as the stream does."""
        with psycopg.connect(self.settings.warehouse.dsn("api")) as connection:
            add_streamed(connection, payments[0]["source_system"], payments, self.redis)

    def events(self, payments: Sequence[Payment]) -> list[dict[str, object]]:
        """Return what the store gives for payments, in the order of `event_id`."""
        with self.opened() as store:
            return store.events(payments).sort_by("event_id").to_pylist()
