"""What the landing of a stream records in Raw: a batch of Structured Streaming, and its progress.

A batch record lists the objects of one micro-batch, and the positions in `transactions` of the
messages in them. Progress is what all batches so far add up to: which messages have landed, and
which objects no manifest lists yet. Records are created once and never replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from sources.errors import StreamBatchError
from sources.manifest import RawObject
from sources.store import create, explained

_Record = TypeVar("_Record", "Batch", "Progress")

_LAST_BATCH: Final = 9_999_999_999
GRACE: Final = timedelta(hours=1)
"""How much later than the end of a day the newest payment is when the day is complete."""

Range = tuple[int, int]
"""The first and the last of consecutive offsets."""


@dataclass(frozen=True)
class Positions:
    """Which messages of a partition of `transactions` have an outcome in a batch."""

    ranges: tuple[Range, ...]
    validated: int
    rejected: int


@dataclass(frozen=True)
class Batch:
    """A micro-batch: its objects by business date, and the newest valid payment in it."""

    number: int
    objects: dict[date, tuple[RawObject, ...]]
    positions: dict[int, Positions]
    newest: datetime | None


@dataclass(frozen=True)
class Account:
    """The messages of a partition of `transactions` from the offset `start` on.

    Each message before the offset `complete` has one outcome; `beyond` are later ones that have
    one. `repeated` counts outcomes beyond the first one of a message.
    """

    start: int
    complete: int
    beyond: tuple[Range, ...] = ()
    validated: int = 0
    rejected: int = 0
    repeated: int = 0

    @property
    def end(self) -> int:
        """Return the offset after the last message that has an outcome."""
        return self.beyond[-1][1] + 1 if self.beyond else self.complete

    @property
    def sent(self) -> int:
        """Return how many messages were sent up to the last one that has an outcome."""
        return self.end - self.start

    def plus(self, positions: Positions) -> Self:
        """Return the account with the messages of one more batch.

        >>> account = Account(0, 0).plus(Positions(((0, 4), (7, 9)), 8, 0))
        >>> account.sent, account.complete, account.beyond
        (10, 5, ((7, 9),))
        >>> account.plus(Positions(((5, 7),), 2, 1)).repeated
        1
        """
        complete, repeated = self.complete, self.repeated
        beyond: list[Range] = []
        for first, last in sorted((*self.beyond, *positions.ranges)):
            begin = max(first, beyond[-1][1] + 1 if beyond else complete)
            repeated += min(begin, last + 1) - first
            if begin > last:
                continue
            if begin == complete and not beyond:
                complete = last + 1
            elif beyond and beyond[-1][1] + 1 == begin:
                beyond[-1] = (beyond[-1][0], last)
            else:
                beyond.append((begin, last))
        return replace(
            self,
            complete=complete,
            beyond=tuple(beyond),
            validated=self.validated + positions.validated,
            rejected=self.rejected + positions.rejected,
            repeated=repeated,
        )


@dataclass(frozen=True)
class Progress:
    """What has landed up to a batch.

    `pending` are the objects by business date that no recorded landing lists yet, `newest` is the
    time of the newest valid payment.
    """

    batch: int = -1
    accounts: dict[int, Account] = field(default_factory=dict)
    pending: dict[date, tuple[RawObject, ...]] = field(default_factory=dict)
    newest: datetime | None = None

    def plus(self, batch: Batch, starts: Mapping[int, int]) -> Self:
        """Return the progress with one more batch; `starts` are the oldest offsets that Kafka has.

        They count for a partition of which nothing has landed yet.
        """
        accounts = dict(self.accounts)
        for partition, positions in batch.positions.items():
            first = positions.ranges[0][0]
            start = min(starts.get(partition, first), first)
            accounts[partition] = accounts.get(partition, Account(start, start)).plus(positions)
        pending = dict(self.pending)
        for day, objects in batch.objects.items():
            pending[day] = (*pending.get(day, ()), *objects)
        newest = max(filter(None, (self.newest, batch.newest)), default=None)
        return replace(self, batch=batch.number, accounts=accounts, pending=pending, newest=newest)

    def without(self, day: date) -> Self:
        """Return the progress without the pending objects of a day."""
        return replace(self, pending={d: of for d, of in self.pending.items() if d != day})

    def complete_days(self, zone: str) -> tuple[date, ...]:
        """Return the days with pending objects that are over by an hour, in the stream's time."""
        if self.newest is None:
            return ()
        today = (self.newest - GRACE).astimezone(ZoneInfo(zone)).date()
        return tuple(sorted(day for day in self.pending if day < today))


def write_batch(s3: Any, bucket: str, source: str, batch: Batch) -> None:
    """Create the record of a batch; Spark repeats a batch that was interrupted.

    Raises:
        StreamBatchError: when another batch has this number, because the checkpoint was lost.
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond.
    """
    key = _batch_key(source, batch.number)
    with explained(bucket):
        is_new = create(s3, bucket, key, _json(batch))
        before = batch if is_new else _read(s3, bucket, key, Batch)
    if before != batch:
        raise StreamBatchError(
            f"Batch {batch.number} of {source} has landed before with other messages: the"
            " checkpoint of the landing is lost or older than Raw. Restore it (docs/stream.md,"
            " Landing)."
        )


def read_progress(s3: Any, bucket: str, source: str, starts: Mapping[int, int]) -> Progress:
    """Return the recorded progress and the batches since then.

    Raises:
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond.
    """
    with explained(bucket):
        first = s3.list_objects_v2(Bucket=bucket, Prefix=_progress_prefix(source), MaxKeys=1)
        newest = first.get("Contents")
        progress = _read(s3, bucket, newest[0]["Key"], Progress) if newest else Progress()
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket,
            Prefix=_batch_prefix(source),
            StartAfter=_batch_key(source, progress.batch),
        )
        for key in [one["Key"] for page in pages for one in page.get("Contents", ())]:
            progress = progress.plus(_read(s3, bucket, key, Batch), starts)
    return progress


def write_progress(s3: Any, bucket: str, source: str, progress: Progress) -> None:
    """Record the progress unless that of its batch is recorded already."""
    with explained(bucket):
        create(s3, bucket, _progress_key(source, progress.batch), _json(progress))


def _batch_prefix(source: str) -> str:
    return f"{source}/stream-batches/"


def _batch_key(source: str, number: int) -> str:
    """Return the key of the record of a batch, in the order of the batches.

    >>> _batch_key("shop", 42) > _batch_key("shop", 9) > _batch_key("shop", -1)
    True
    """
    return f"{_batch_prefix(source)}{number:010d}.json" if number >= 0 else _batch_prefix(source)


def _progress_prefix(source: str) -> str:
    return f"{source}/stream-progress/newest-first-"


def _progress_key(source: str, batch: int) -> str:
    """Return the key of the progress up to a batch, newest first.

    The store lists keys in ascending order, so that one request finds the newest record.

    >>> _progress_key("shop", 42)
    'shop/stream-progress/newest-first-9999999957.json'
    """
    return f"{_progress_prefix(source)}{_LAST_BATCH - batch:010d}.json"


def _read(s3: Any, bucket: str, key: str, kind: type[_Record]) -> _Record:
    return TypeAdapter(kind).validate_json(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def _json(record: Batch | Progress) -> bytes:
    return TypeAdapter(type(record)).dump_json(record, indent=1)
