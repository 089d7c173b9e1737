"""The online store in Redis or Valkey, which the APIs of several machines share.

The key `tollgate:<source>` names the contents in use, whose keys begin with that name and the name
of the contents. `customer:<id>` and `counterparty:<id>` are sorted sets of payments by microsecond,
`category:<code>` is one of counts by day, and `payments` is a hash of payments by `event_id`. Each
has rows in msgpack. A command reads or adds to the contents that are in use at that instant.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Final, TypeVar

import msgspec
import pyarrow as pa
from redis import AuthenticationError, Redis, RedisError
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

from contracts.features import HISTORY_DAYS, LOOKBACK_DAYS
from contracts.render import to_arrow
from contracts.settings import Api
from serving.store import COUNTS, RECENT, Payment, counts_for_kernel
from sources.registry import names

ANSWER_SECONDS: Final = 0.2
"""Time limit of a decision for a reply; a lost connection is opened again once."""
FILL_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 1.0
"""Time without a new attempt after Redis gave no reply, so that answers stay quick."""
_ROWS: Final = 1_000
"""Payments that one command adds: others wait for it, some milliseconds."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = 86_400_000_000
_ID: Final = RECENT.column_names.index("event_id")
_TYPE: Final = RECENT.column_names.index("counterparty_type")
# A payment that the store has stays as it is. ARGV: the contents, or nothing for those in use, and
# of each payment event_id, microsecond, row, customer and counterparty.
_ADD: Final = """
local contents = ARGV[1]
if contents == '' then contents = redis.call('get', KEYS[1]) end
if not contents then return 0 end
local prefix = KEYS[1] .. ':' .. contents .. ':'
for at = 2, #ARGV, 5 do
  local event_id, microsecond, row, customer, counterparty = unpack(ARGV, at, at + 4)
  if redis.call('hsetnx', prefix .. 'payments', event_id, row) == 1 then
    redis.call('zadd', prefix .. 'customer:' .. customer, microsecond, row)
    if counterparty ~= '' then
      redis.call('zadd', prefix .. 'counterparty:' .. counterparty, microsecond, row)
    end
  end
end
return 1
"""
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list).decode
_Commands = Callable[[Pipeline, str], None]
_T = TypeVar("_T")


class OnlineStoreError(ConnectionError):
    """Raised when Redis gives no reply, refuses the password or has no payments of a source."""


class RedisStore:
    """The online store on a server of Redis or Valkey."""

    def __init__(self, client: Redis) -> None:
        """Use a client; see `redis_store`."""
        self._client = client
        self._add = client.register_script(_ADD)
        self._contents: dict[str, bytes] = {}
        self._next_attempt = 0.0

    def events(self, payments: Sequence[Payment]) -> pa.Table:
        """Return the payments that the features of payments read.

        Raises:
            OnlineStoreError: when the store cannot be read.
        """

        def ask(pipe: Pipeline, prefix: str) -> None:
            pipe.hmget(f"{prefix}payments", [payment["event_id"] for payment in payments])
            for payment in payments:
                until = _microsecond(payment["event_at"])
                for key, days in (
                    (f"counterparty:{payment['customer_id']}", 1),  # money that it received
                    (f"customer:{payment['customer_id']}", HISTORY_DAYS),
                    (f"counterparty:{payment['counterparty_id'] or ''}", LOOKBACK_DAYS),
                ):
                    pipe.zrangebyscore(prefix + key, f"({until - days * _DAY}", until)

        own, *ranges = self._read(payments[0]["source_system"], ask)
        received = map(_decode, chain.from_iterable(ranges[::3]))
        members = chain((one for one in own if one is not None), *ranges[1::3], *ranges[2::3])
        rows = [
            *map(_decode, dict.fromkeys(members)),
            *(row for row in received if row[_TYPE] == "customer"),
        ]
        return _table({row[_ID]: row for row in rows}.values(), to_arrow.schema(RECENT))

    def category_counts(self, payments: Sequence[Payment]) -> pa.Table:
        """Return the counts of the categories of payments.

        Raises:
            OnlineStoreError: when the store cannot be read.
        """
        days = [_microsecond(payment["event_at"]) // _DAY for payment in payments]
        categories = {payment["merchant_category"] for payment in payments} - {None}

        def ask(pipe: Pipeline, prefix: str) -> None:
            for category in sorted(categories):
                first = min(days) - LOOKBACK_DAYS - 1
                pipe.zrangebyscore(f"{prefix}category:{category}", first, max(days))

        found = chain.from_iterable(self._read(payments[0]["source_system"], ask))
        return counts_for_kernel(_table(map(_decode, found), to_arrow.schema(COUNTS)))

    def add(self, payments: Sequence[Payment]) -> None:
        """Add payments for the features of later ones, except for those that the store has.

        Raises:
            OnlineStoreError: when the store cannot be written.
        """
        source = payments[0]["source_system"]
        rows = pa.Table.from_pylist(list(payments), to_arrow.schema(RECENT))
        if not self._tried(lambda: self._added(source, "", rows)):
            raise _without_payments(source)

    def replace(
        self,
        source: str,
        payments: pa.Table,
        counts: pa.Table,
        added: Callable[[], Iterable[pa.Table]],
    ) -> None:
        """Replace the contents of a source, at once for all readers.

        `payments` and `counts` have rows of serving.recent_payments and serving.category_counts.
        `added` returns the later payments that the store has too: it is called
        before the contents are in use, and again afterwards for decisions that were made meanwhile.
        One caller at a time replaces the contents of a source.

        Raises:
            OnlineStoreError: when Redis is away. The earlier contents may stay in use.
        """
        try:
            self._replace(source, payments, counts, added)
        except RedisError as error:
            raise _away(error) from error

    def check(self) -> None:
        """Return if the store has payments.

        Raises:
            OnlineStoreError: when it has none, or cannot be read.
        """
        try:
            if not any(self._client.mget([_key(source) for source in names()])):
                raise _without_payments("any source")
        except RedisError as error:
            raise _away(error) from error

    def _replace(
        self,
        source: str,
        payments: pa.Table,
        counts: pa.Table,
        added: Callable[[], Iterable[pa.Table]],
    ) -> None:
        contents = uuid.uuid4().hex
        prefix = _prefix(source, contents)
        self._added(source, contents, payments)
        with self._client.pipeline(transaction=False) as pipe:
            for count, row in zip(counts.to_pylist(), _rows(counts), strict=True):
                key = f"{prefix}category:{count['merchant_category']}"
                pipe.zadd(key, {row: count["payment_day"]})
            pipe.execute()
        for rows in added():
            self._added(source, contents, rows)
        self._client.set(_key(source), contents)
        for rows in added():
            self._added(source, contents, rows)
        with self._client.pipeline(transaction=False) as pipe:
            for key in self._client.scan_iter(f"{_key(source)}:*", count=_ROWS):
                if not key.startswith(prefix.encode()):
                    pipe.unlink(key)
                if len(pipe) >= _ROWS:
                    pipe.execute()
            pipe.execute()

    def _added(self, source: str, contents: str, rows: pa.Table) -> bool:
        """Add rows to contents, or to those in use; return False if none are in use."""
        done = True
        for batch in rows.to_batches(max_chunksize=_ROWS):
            arguments: list[Any] = [contents]
            columns = batch.select(["event_id", "customer_id", "counterparty_id"]).to_pydict()
            instants = batch["event_at"].cast(pa.int64()).to_pylist()
            for event_id, customer, counterparty, microsecond, row in zip(
                *columns.values(), instants, _rows(batch), strict=True
            ):
                arguments += (event_id, microsecond, row, customer, counterparty or "")
            done = bool(self._add(keys=[_key(source)], args=arguments)) and done
        return done

    def _read(self, source: str, commands: _Commands) -> list[Any]:
        """Return the replies to commands, which get the prefix of the contents in use."""

        def read() -> list[Any]:
            while True:
                contents = self._contents.get(source, b"")
                with self._client.pipeline(transaction=True) as pipe:
                    pipe.get(_key(source))
                    commands(pipe, _prefix(source, contents.decode()))
                    in_use, *replies = pipe.execute()
                if in_use is None:
                    raise _without_payments(source)
                if in_use == contents:
                    return replies
                self._contents[source] = in_use  # a fill has replaced the contents

        return self._tried(read)

    def _tried(self, work: Callable[[], _T]) -> _T:
        if time.monotonic() < self._next_attempt:
            raise OnlineStoreError("Redis gave no reply a moment ago")
        try:
            return work()
        except RedisError as error:
            self._next_attempt = time.monotonic() + _PAUSE_SECONDS
            raise _away(error) from error


def redis_store(api: Api, seconds: float) -> RedisStore | None:
    """Return the store that the settings name, with a time limit for a reply; None for Postgres."""
    if api.store_url is None:
        return None
    client = Redis.from_url(
        api.store_url,
        password=api.store_password and api.store_password.get_secret_value(),
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 1),
    )
    return RedisStore(client)


def _key(source: str) -> str:
    return f"tollgate:{source}"


def _prefix(source: str, contents: str) -> str:
    return f"{_key(source)}:{contents}:"


def _microsecond(at: datetime) -> int:
    """Return microseconds since 1970, which a score of a sorted set has exactly.

    >>> _microsecond(datetime(2024, 3, 1, 12, 0, 0, 1, UTC))
    1709294400000001
    """
    return (at - _EPOCH) // _MICROSECOND


def _away(error: RedisError) -> OnlineStoreError:
    if isinstance(error, AuthenticationError):
        return OnlineStoreError("Redis refuses the password: set TOLLGATE_API__STORE_PASSWORD")
    return OnlineStoreError(f"Redis does not answer ({type(error).__name__})")


def _without_payments(source: str) -> OnlineStoreError:
    return OnlineStoreError(f"Redis has no payments of {source}: run `python -m serving.fill`")


def _packed(field: pa.Field) -> pa.DataType:
    """Return the type of a column in msgpack, which has no times and no decimals."""
    if pa.types.is_timestamp(field.type):
        return pa.int64()
    if pa.types.is_date(field.type):
        return pa.int32()
    return pa.string() if pa.types.is_decimal(field.type) else field.type


def _rows(rows: pa.Table | pa.RecordBatch) -> Iterator[bytes]:
    columns = [rows[field.name].cast(_packed(field)).to_pylist() for field in rows.schema]
    return map(_encode, zip(*columns, strict=True))


def _table(rows: Iterable[list[Any]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [
        pa.array(values, _packed(field)).cast(field.type)
        for values, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=schema.names)
