"""The manifest of a landed window: its objects in Raw and their content."""

import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Self

from contracts.windows import Window
from sources.store import explained

_DATE_AT_END: Final = re.compile(r"\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True)
class RawObject:
    """An object of Raw. If it is unreadable, `rows` is None and `problem` is the reason.

    `schema_version` is the declared version that its columns match. Readable rows and money are
    counted by currency, under XXX if the currency is unknown. `rows_beyond` are those of a whole
    file that are dated outside its window, and `first_day` and `last_day` the dates of its rows.
    """

    key: str
    name: str
    bytes: int
    sha256: str
    landed_at: datetime
    schema_version: int | None = None
    rows: int | None = None
    row_counts: dict[str, int] = field(default_factory=dict)
    amounts: dict[str, Decimal] = field(default_factory=dict)
    columns: dict[str, str] | None = None
    problem: str | None = None
    rows_beyond: int = 0
    first_day: str | None = None
    last_day: str | None = None

    @property
    def is_of_stream(self) -> bool:
        """Return whether the object has messages of a stream, and is no file that was delivered."""
        return self.key.split("/")[1] == "stream"

    @property
    def is_feedback(self) -> bool:
        """Return whether the object has labels of analysts, and is no file that was delivered."""
        return self.key.split("/")[1] == "feedback"

    @property
    def delivered_date(self) -> date:
        """Return the last date in the name of the delivery, else the UTC date of its landing."""
        dated = _DATE_AT_END.search(self.key.split("/")[2])
        if dated is not None:
            with suppress(ValueError):  # as 2024-02-30
                return date.fromisoformat(dated[0])
        return self.landed_at.astimezone(UTC).date()


@dataclass(frozen=True)
class Manifest:
    """The objects of a window, in the order of their names.

    `not_taken` has a sentence for each file that lay beside the deliveries and is none;
    `closed_days` are the dates that the run declared closed, beside those of the source; `labels`
    are the objects of its label feed and of feedback, whose rows are no payments.
    """

    source: str
    window: str
    sequence: int
    landed_at: datetime
    objects: tuple[RawObject, ...]
    not_taken: tuple[str, ...] = ()
    closed_days: tuple[date, ...] = ()
    labels: tuple[RawObject, ...] = ()

    @property
    def key(self) -> str:
        """Return the key of the manifest in Raw."""
        return self.key_of(self.sequence)

    def key_of(self, sequence: int) -> str:
        """Return the key of a manifest of the same window."""
        return f"{manifest_prefix(Window.parse(self.window))}{sequence:04d}.json"

    @property
    def rows(self) -> int:
        """Return the number of readable rows."""
        return sum(raw_object.rows or 0 for raw_object in self.objects)

    @property
    def row_counts(self) -> dict[str, int]:
        """Return the number of readable rows by currency."""
        counts: Counter[str] = Counter()
        for raw_object in self.objects:
            counts.update(raw_object.row_counts)
        return dict(sorted(counts.items()))

    @property
    def amounts(self) -> dict[str, Decimal]:
        """Return the readable money by currency."""
        sums: dict[str, Decimal] = {}
        for raw_object in self.objects:
            for currency, amount in raw_object.amounts.items():
                sums[currency] = sums.get(currency, Decimal("0.00")) + amount
        return dict(sorted(sums.items()))

    @property
    def problems(self) -> tuple[str, ...]:
        """Return the problems, one sentence for each object."""
        return tuple(
            f"{raw_object.name}: {raw_object.problem}"
            for raw_object in (*self.objects, *self.labels)
            if raw_object.problem
        )

    def to_json(self) -> bytes:
        """Return the JSON text that is stored in Raw."""
        return json.dumps(asdict(self), indent=1, default=_plain).encode()

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Rebuild a manifest from `to_json`."""
        plain = json.loads(text)
        landed_at = datetime.fromisoformat(plain["landed_at"])
        not_taken = tuple(plain.get("not_taken", ()))
        closed_days = tuple(map(date.fromisoformat, plain.get("closed_days", ())))
        return cls(
            **{
                **plain,
                "landed_at": landed_at,
                "objects": tuple(map(_raw_object, plain["objects"])),
                "labels": tuple(map(_raw_object, plain.get("labels", ()))),
                "not_taken": not_taken,
                "closed_days": closed_days,
            }
        )


def _raw_object(plain: dict[str, Any]) -> RawObject:
    """Rebuild an object of a manifest from its JSON form."""
    landed_at = datetime.fromisoformat(plain["landed_at"])
    amounts = {code: Decimal(amount) for code, amount in plain["amounts"].items()}
    return RawObject(**{**plain, "landed_at": landed_at, "amounts": amounts})


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def manifest_prefix(window: Window) -> str:
    """Return the prefix of a window's manifests."""
    return f"{window.source}/manifests/{window.span}/"


def find_latest(s3_client: Any, bucket: str, window: Window) -> Manifest | None:
    """Return the latest manifest of a window, or None when it never landed."""
    prefix = manifest_prefix(window)
    with explained(bucket):
        pages = s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = sorted(
            raw_object["Key"] for page in pages for raw_object in page.get("Contents", ())
        )
        if not keys:
            return None
        body = s3_client.get_object(Bucket=bucket, Key=keys[-1])["Body"].read()
    return Manifest.from_json(body)


def named(s3_client: Any, bucket: str, key: str) -> Manifest:
    """Return the manifest of a landing by its key, even if other deliveries have landed since.

    Raises:
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond, or has no such manifest.
    """
    with explained(bucket):
        body = s3_client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return Manifest.from_json(body)
