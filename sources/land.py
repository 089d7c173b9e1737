"""Landing of a window in Raw: its files, unchanged, and a manifest of them."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from contracts.results import Balance
from contracts.stage_results import LandResult
from contracts.windows import Window
from sources.currencies import UNKNOWN_CURRENCY
from sources.declaration import LabelFeed, Source
from sources.discover import Delivery
from sources.event_dates import may_differ
from sources.feedback import FEEDBACK
from sources.inspect import Finding, inspect, inspect_labels
from sources.manifest import Manifest, RawObject, find_latest
from sources.registry import source as declared
from sources.store import create, explained

_UPLOADS_AT_ONCE: Final = 8
_LANDED_AT: Final = "landed-at"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
"""Characters that are replaced in keys, because clients encode them in different ways."""


def land(
    window: Window,
    s3_client: Any,
    bucket: str,
    deliveries: list[Delivery],
    *,
    run_id: str,
    labels: Sequence[Delivery] = (),
    not_taken: tuple[str, ...] = (),
    closed_days: tuple[date, ...] = (),
) -> LandResult:
    """Put each delivered file into Raw under a key with its hash, then write the manifest.

    Objects are created and never replaced, so landing twice adds nothing, and concurrent landings
    give the same result. An unreadable file is landed too; the manifest records the problem,
    the sentences `not_taken` about files that are not landed, and the days on which the source is
    closed beside those that it declares. `labels` are the files of its label feed.

    Raises:
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond.
    """
    system = declared(window.source).closed_on(closed_days)
    now = datetime.now(UTC)
    with explained(bucket), ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        landed = list(
            pool.map(
                lambda delivery: _put(s3_client, bucket, system, window, delivery, now), deliveries
            )
        )
        landed_labels = list(
            pool.map(lambda delivery: _put_labels(s3_client, bucket, system, delivery, now), labels)
        )
    # Spark writes a part without rows for a task without rows.
    objects = tuple(
        raw_object
        for delivery, (raw_object, _) in zip(deliveries, landed, strict=True)
        if raw_object.rows != 0 or not delivery.part_of
    )
    label_objects = tuple(raw_object for raw_object, _ in landed_labels)
    manifest = _record(
        s3_client, bucket, window, objects, label_objects, not_taken, closed_days, now
    )
    return _result(window, run_id, manifest, sum(is_new for _, is_new in (*landed, *landed_labels)))


def land_objects(
    window: Window, s3_client: Any, bucket: str, objects: Sequence[RawObject], *, run_id: str
) -> LandResult:
    """Write a manifest of objects of a stream, beside what the window has landed before.

    Raises:
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond.
    """
    latest = find_latest(s3_client, bucket, window)
    before, labels = (latest.objects, latest.labels) if latest else ((), ())
    new = tuple(one for one in objects if one not in before)
    not_taken, closed_days = (latest.not_taken, latest.closed_days) if latest else ((), ())
    manifest = _record(
        *(s3_client, bucket, window, (*before, *new), labels),
        *(not_taken, closed_days, datetime.now(UTC)),
    )
    return _result(window, run_id, manifest, len(new))


def land_feedback(
    window: Window, s3_client: Any, bucket: str, feedback: Sequence[Delivery], *, run_id: str
) -> LandResult | None:
    """Put files of feedback into Raw, and write a manifest of what the window has landed with them.

    Returns None when the window has never landed, or has landed these files.

    Raises:
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond.
    """
    system, now = declared(window.source), datetime.now(UTC)
    with explained(bucket):
        objects = [
            _created(s3_client, bucket, system, "feedback", one, _of_feedback(one), now)[0]
            for one in feedback
        ]
        while latest := find_latest(s3_client, bucket, window):
            new = [one for one in objects if one not in latest.labels]
            if not new:
                return None
            manifest = replace(
                latest,
                sequence=latest.sequence + 1,
                landed_at=now,
                labels=(*latest.labels, *new),
            )
            if create(s3_client, bucket, manifest.key, manifest.to_json()):
                return _result(window, run_id, manifest, len(new))
    return None


def _of_feedback(delivery: Delivery) -> Finding:
    return inspect_labels(delivery.path, FEEDBACK)


def _result(window: Window, run_id: str, manifest: Manifest, new_objects: int) -> LandResult:
    objects = (*manifest.objects, *manifest.labels)
    return LandResult(
        window=window,
        run_id=run_id,
        dates=tuple(window.dates()),
        balances=_balances(manifest),
        manifest=manifest.key,
        sequence=manifest.sequence,
        objects=len(objects),
        new_objects=new_objects,
        bytes=sum(landed_object.bytes for landed_object in objects),
        problems=manifest.problems,
        not_taken=manifest.not_taken,
        closed=manifest.rows == 0 and not manifest.problems,
    ).check()


def _balances(manifest: Manifest) -> tuple[Balance, ...]:
    """Return one balance for each currency, or an empty one when no row could be read."""
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
    s3_client: Any,
    bucket: str,
    system: Source,
    window: Window,
    delivery: Delivery,
    now: datetime,
) -> tuple[RawObject, bool]:
    """Create the object of a file unless it exists, and return whether it was created."""
    finding = inspect(delivery.path, system, may_be_empty=_may_be_empty(system, delivery))
    raw_object, is_new = _created(s3_client, bucket, system, "transactions", delivery, finding, now)
    dated = replace(
        raw_object,
        rows_beyond=_rows_beyond(system, finding, window),
        first_day=min(finding.days).isoformat() if finding.days else None,
        last_day=max(finding.days).isoformat() if finding.days else None,
    )
    return dated, is_new


def _put_labels(
    s3_client: Any, bucket: str, system: Source, delivery: Delivery, now: datetime
) -> tuple[RawObject, bool]:
    """Create the object of a file of labels unless it exists, and return whether it was created."""
    if not isinstance(system.labels, LabelFeed):
        raise TypeError(f"{system.name} declares no label feed")
    finding = inspect_labels(delivery.path, system.labels.version)
    return _created(s3_client, bucket, system, "labels", delivery, finding, now)


def _created(
    s3_client: Any,
    bucket: str,
    system: Source,
    kind: str,
    delivery: Delivery,
    finding: Finding,
    now: datetime,
) -> tuple[RawObject, bool]:
    """Create an object under `<source>/<kind>/` unless it exists, and return if it was created."""
    folder = _UNSAFE.sub("-", delivery.stem)
    key = f"{system.name}/{kind}/{folder}/{finding.sha256[:16]}.{delivery.kind}"
    landed_at = now
    with delivery.path.open("rb") as body:
        is_new = create(
            s3_client,
            bucket,
            key,
            body,
            Metadata={_LANDED_AT: now.isoformat(), "sha256": finding.sha256},
        )
    if not is_new:
        metadata = s3_client.head_object(Bucket=bucket, Key=key)["Metadata"]
        landed_at = datetime.fromisoformat(metadata[_LANDED_AT])
    return finding.landed_as(key, delivery.name, landed_at), is_new


def _rows_beyond(system: Source, finding: Finding, window: Window) -> int:
    """Return how many rows of a whole file are dated outside a window, by their written dates.

    A counted date may be a day off the business date (`sources.event_dates.may_differ`).
    """
    version = system.version(finding.version)
    is_exact = version is None or not may_differ(version.mapping["event_at"], system.zone)
    near = timedelta(days=0 if is_exact else 1)
    return sum(
        rows
        for day, rows in finding.days.items()
        if not (window.start <= day + near and day - near <= window.end)
    )


def _may_be_empty(system: Source, delivery: Delivery) -> bool:
    """Return whether a file may have no rows: one of a closed day, or one part of several."""
    if system.rows_per_day[0] == 0 or delivery.part_of:
        return True
    with suppress(ValueError):
        return system.is_closed(date.fromisoformat(delivery.stem))
    return False


def _record(
    s3_client: Any,
    bucket: str,
    window: Window,
    objects: tuple[RawObject, ...],
    labels: tuple[RawObject, ...],
    not_taken: tuple[str, ...],
    closed_days: tuple[date, ...],
    now: datetime,
) -> Manifest:
    """Write the manifest unless the latest one says the same; retry after a lost race.

    Objects of a stream and of feedback that the window has already stay in it, also when files are
    delivered.
    """
    delivered, delivered_labels = objects, labels
    while True:
        latest = find_latest(s3_client, bucket, window)
        of_stream = [one for one in (latest.objects if latest else ()) if one.is_of_stream]
        objects = (*delivered, *(one for one in of_stream if one not in delivered))
        of_feedback = [one for one in (latest.labels if latest else ()) if one.is_feedback]
        labels = (*delivered_labels, *(one for one in of_feedback if one not in delivered_labels))
        content = (objects, labels, not_taken, closed_days)
        if latest is not None and content == (
            latest.objects,
            latest.labels,
            latest.not_taken,
            latest.closed_days,
        ):
            return latest
        manifest = Manifest(
            source=window.source,
            window=window.key,
            sequence=latest.sequence + 1 if latest else 1,
            landed_at=now,
            objects=objects,
            labels=labels,
            not_taken=not_taken,
            closed_days=closed_days,
        )
        with explained(bucket):
            if create(s3_client, bucket, manifest.key, manifest.to_json()):
                return manifest
