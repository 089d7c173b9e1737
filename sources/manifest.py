"""The manifest of a landed window: which objects of Raw it is made of, and what they hold."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from contracts.windows import Window
from sources.store import explained


@dataclass(frozen=True)
class RawObject:
    """An object of Raw. `rows` is None, and `problem` says why, when unreadable.

    `schema_version` is the declared version that its columns show. Rows and money that can be read
    are kept by currency, under XXX where nobody knows it.
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


@dataclass(frozen=True)
class Manifest:
    """The objects of a window, in the order of their names."""

    source: str
    window: str
    sequence: int
    landed_at: datetime
    objects: tuple[RawObject, ...]

    @property
    def key(self) -> str:
        """Return where the manifest lies in Raw."""
        return f"{manifest_prefix(Window.parse(self.window))}{self.sequence:04d}.json"

    @property
    def rows(self) -> int:
        """Return the rows that can be read."""
        return sum(held.rows or 0 for held in self.objects)

    @property
    def row_counts(self) -> dict[str, int]:
        """Return the rows that can be read, by currency."""
        counts: Counter[str] = Counter()
        for held in self.objects:
            counts.update(held.row_counts)
        return dict(sorted(counts.items()))

    @property
    def amounts(self) -> dict[str, Decimal]:
        """Return the money that can be read, by currency."""
        sums: dict[str, Decimal] = {}
        for held in self.objects:
            for currency, amount in held.amounts.items():
                sums[currency] = sums.get(currency, Decimal("0.00")) + amount
        return dict(sorted(sums.items()))

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what is wrong, an object a sentence."""
        return tuple(f"{held.name}: {held.problem}" for held in self.objects if held.problem)

    def to_json(self) -> bytes:
        """Return the text that is kept in Raw."""
        return json.dumps(asdict(self), indent=1, default=_plain).encode()

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Rebuild a manifest from `to_json`."""
        plain = json.loads(text)
        objects = tuple(
            RawObject(
                **{
                    **held,
                    "landed_at": datetime.fromisoformat(held["landed_at"]),
                    "amounts": {code: Decimal(one) for code, one in held["amounts"].items()},
                }
            )
            for held in plain["objects"]
        )
        landed_at = datetime.fromisoformat(plain["landed_at"])
        return cls(**{**plain, "landed_at": landed_at, "objects": objects})


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def manifest_prefix(window: Window) -> str:
    """Return the prefix of a window's manifests."""
    return f"{window.source}/manifests/{window.span}/"


def find_latest(s3_client: Any, bucket: str, window: Window) -> Manifest | None:
    """Return the latest manifest of a window, or None when it never landed."""
    prefix = manifest_prefix(window)
    with explained(bucket):
        pages = s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = sorted(held["Key"] for page in pages for held in page.get("Contents", ()))
        if not keys:
            return None
        body = s3_client.get_object(Bucket=bucket, Key=keys[-1])["Body"].read()
    return Manifest.from_json(body)


def named(s3_client: Any, bucket: str, key: str) -> Manifest:
    """Return the manifest that a landing reported, whatever has landed since.

    Raises:
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not answer, or has no such manifest.
    """
    with explained(bucket):
        body = s3_client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return Manifest.from_json(body)
