"""Land a window of a source in Raw: its files exactly as they arrived, and a manifest of them."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from botocore.exceptions import ClientError

from contracts.results import Balance
from contracts.stage_results import LandResult
from contracts.windows import Window
from sources.currencies import UNKNOWN_CURRENCY
from sources.declaration import Source
from sources.discover import Delivery
from sources.inspect import inspect
from sources.manifest import Manifest, RawObject, find_latest
from sources.registry import source as declared
from sources.store import error_code, explained

_UPLOADS_AT_ONCE: Final = 8
_LANDED_AT: Final = "landed-at"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
"""What a key of the store has no need of, and a reader of it may write in another way."""
_TAKEN: Final = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}


def land(
    window: Window,
    s3_client: Any,
    bucket: str,
    deliveries: list[Delivery],
    *,
    run_id: str,
) -> LandResult:
    """Put each delivered file into Raw under its content's name, then write the manifest.

    Objects are created, never replaced, so landing twice adds nothing and two landings at once
    agree. A file that cannot be read lands all the same; the manifest says what is wrong with it.

    Raises:
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not answer.
    """
    system = declared(window.source)
    now = datetime.now(UTC)
    with explained(bucket), ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        landed = list(
            pool.map(lambda delivery: _put(s3_client, bucket, system, delivery, now), deliveries)
        )
    objects = tuple(held for held, _ in landed)
    manifest = _record(s3_client, bucket, system, window, objects, now)
    return LandResult(
        window=window,
        run_id=run_id,
        dates=tuple(window.dates()),
        balances=_balances(manifest),
        manifest=manifest.key,
        sequence=manifest.sequence,
        objects=len(objects),
        new_objects=sum(is_new for _, is_new in landed),
        bytes=sum(held.bytes for held in objects),
        problems=manifest.problems,
    ).check()


def _balances(manifest: Manifest) -> tuple[Balance, ...]:
    """Return a balance a currency; one of nothing when nothing could be read."""
    counts, amounts = manifest.row_counts, manifest.amounts
    nothing = Decimal("0.00")
    return tuple(
        Balance(
            source_system=manifest.source,
            currency=currency,
            rows_in=counts.get(currency, 0),
            rows_out=counts.get(currency, 0),
            amount_in=amounts.get(currency, nothing),
            amount_out=amounts.get(currency, nothing),
        )
        for currency in counts or (UNKNOWN_CURRENCY,)
    )


def _put(
    s3_client: Any, bucket: str, system: Source, delivery: Delivery, now: datetime
) -> tuple[RawObject, bool]:
    """Create the object of a file unless it is there, and tell whether it was created."""
    found = inspect(delivery.path, system)
    folder = _UNSAFE.sub("-", delivery.stem)
    key = f"{system.name}/transactions/{folder}/{found.sha256[:16]}{delivery.path.suffix}"
    landed_at = now
    with delivery.path.open("rb") as body:
        is_new = _create(
            s3_client,
            bucket,
            key,
            body,
            Metadata={_LANDED_AT: now.isoformat(), "sha256": found.sha256},
        )
    if not is_new:
        kept = s3_client.head_object(Bucket=bucket, Key=key)["Metadata"]
        landed_at = datetime.fromisoformat(kept[_LANDED_AT])
    held = RawObject(
        key=key,
        name=delivery.path.name,
        bytes=found.bytes,
        sha256=found.sha256,
        landed_at=landed_at,
        schema_version=found.version,
        rows=found.rows,
        row_counts=found.row_counts,
        amounts=found.amounts,
        columns=found.columns,
        problem=found.problem,
    )
    return held, is_new


def _create(s3_client: Any, bucket: str, key: str, body: Any, **options: Any) -> bool:
    """Create an object; return False when it exists, whoever made it."""
    try:
        s3_client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*", **options)
    except ClientError as error:
        if error_code(error) in _TAKEN:
            return False
        raise
    return True


def _record(
    s3_client: Any,
    bucket: str,
    system: Source,
    window: Window,
    objects: tuple[RawObject, ...],
    now: datetime,
) -> Manifest:
    """Write the manifest unless the latest one lists the same objects; a lost race looks again."""
    while True:
        known = find_latest(s3_client, bucket, window)
        if known is not None and known.objects == objects:
            return known
        manifest = Manifest(
            source=system.name,
            window=window.key,
            sequence=known.sequence + 1 if known else 1,
            landed_at=now,
            objects=objects,
        )
        with explained(bucket):
            if _create(s3_client, bucket, manifest.key, manifest.to_json()):
                return manifest
