"""Gate raw: the manifest against the store, the declaration of the source, and earlier days."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from contracts.results import GateResult
from contracts.stages import Gate
from contracts.values import CLOCK_TOLERANCE
from contracts.windows import Window
from expectations.checkpoint import Batch
from expectations.delivery_history import day_of, profile_batch, read_earlier, sent_before
from expectations.run import evaluate
from expectations.suites import raw
from sources.feedback import label_layout
from sources.registry import find
from sources.sent_again import not_sent_again
from sources.store import explained

if TYPE_CHECKING:
    from sources.declaration import Source
    from sources.manifest import Manifest, RawObject

_TABLE: Final = "raw.transactions"
_READERS: Final = 8
_CHUNK: Final = 1 << 20


def gate_raw(
    manifests: "Sequence[Manifest]",
    window: Window,
    run_id: str,
    s3: Any,
    bucket: str,
    state_dir: Path,
    *,
    now: datetime | None = None,
) -> GateResult:
    """Check that a window is complete in Raw, as declared and unchanged.

    Each object is read again and its SHA-256 computed; `now` defaults to the clock.

    Raises:
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond.
    """
    import pandas as pd

    pairs = [(m, o) for m in manifests for o in (*m.objects, *m.labels)]
    with explained(bucket), ThreadPoolExecutor(_READERS) as readers:
        stored = list(readers.map(lambda pair: stored_object(s3, bucket, pair[1].key), pairs))
        earlier = read_earlier(s3, bucket, window)
    names_before = sent_before(earlier)
    objects = [
        {
            "source": manifest.source,
            "name": item.name,
            "key": item.key,
            "bytes": item.bytes,
            "bytes_stored": size,
            "sha256": item.sha256,
            "sha256_stored": sha256,
            "sent_before_as": ", ".join(sorted(names_before.get(item.sha256, set()) - {item.name}))
            or None,
            "content": item.sha256 if item.rows else None,
            "rows": item.rows,
            "problem": item.problem,
            "beyond_window": _beyond(item, window, manifest),
            "rows_beyond": item.rows_beyond,
            "layout_problem": _layout_problem(manifest, item),
            "schema_version": item.schema_version or 0,
            "schema_version_declared": _declared_version(manifest, item),
        }
        for (manifest, item), (size, sha256) in zip(pairs, stored, strict=True)
    ]
    columns = ["source", "name", "key", "bytes", "bytes_stored", "sha256", "sha256_stored"]
    columns += [
        "sent_before_as",
        "content",
        "rows",
        "problem",
        "beyond_window",
        "rows_beyond",
        "layout_problem",
        "schema_version",
        "schema_version_declared",
    ]
    about = [
        _about(m, window, now or datetime.now(UTC))
        | {"not_sent_again": not_sent_again(s3, bucket, m)}
        for m in manifests
    ]
    frames = (
        ("manifests", about, None, raw.manifest_rules(), ("source", "window")),
        ("objects", objects, columns, raw.object_rules(_is_closed(manifests, window)), ("name",)),
        ("days", _days(manifests, window), _DAY, raw.day_rules(), ("date", "rows")),
    )
    batches = [
        Batch(
            _TABLE,
            pd.DataFrame(rows, columns=names or _ABOUT, dtype=object),
            rules,
            label,
            part=part,
        )
        for part, rows, names, rules, label in frames
    ]
    source = find(window.source)
    if source is not None:
        batches.append(profile_batch(_TABLE, manifests, earlier, window, source))
    return evaluate(Gate.RAW, window, run_id, batches, state_dir)


def stored_object(s3: Any, bucket: str, key: str) -> tuple[int | None, str | None]:
    """Return the current size and SHA-256 of an object; (None, None) when it does not exist."""
    from botocore.exceptions import ClientError

    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        # A denied access or an outage must not be reported as a lost object.
        if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404", "NotFound"):
            return None, None
        raise
    digest, size = hashlib.sha256(), 0
    for chunk in body.iter_chunks(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def _beyond(item: "RawObject", window: Window, manifest: "Manifest") -> str | None:
    """Say that more rows of a whole file lie beyond the window than its source may bring late."""
    source = find(manifest.source)
    if source is None or item.rows_beyond <= source.ranges.late_share * (item.rows or 0):
        return None
    span = (
        item.first_day if item.first_day == item.last_day else f"{item.first_day}--{item.last_day}"
    )
    return (
        f"{item.rows_beyond} of {item.rows} rows are dated outside the window {window.span}:"
        f" the file has {item.first_day} to {item.last_day}, so land the window {span}"
    )


def _layout_problem(manifest: "Manifest", item: "RawObject") -> str | None:
    source = find(manifest.source)
    if source is None or item.columns is None:
        return None
    if item in manifest.labels:
        layout = label_layout(source, item)
        return None if layout is None else layout.problem(item.columns)
    return source.layout_problem(item.columns)


def _declared_version(manifest: "Manifest", item: "RawObject") -> int:
    """Return the version that the columns of an object match in the current declaration, or 0."""
    if item in manifest.labels:
        return item.schema_version or 0
    source = find(manifest.source)
    version = source.version_of(item.columns or {}) if source is not None else None
    return 0 if version is None else version.number


_ABOUT: Final = [
    *("source", "yes", "source_known", "window", "window_asked"),
    *("landed_after_window", "landed_before_now", "landed_fresh", "not_taken", "not_sent_again"),
]


def _about(manifest: "Manifest", window: Window, now: datetime) -> dict[str, Any]:
    """Return the properties of a manifest and their expected values."""
    source = find(manifest.source)
    zone = ZoneInfo(source.zone if source else "UTC")
    over = datetime.combine(window.end + timedelta(days=1), datetime.min.time(), zone)
    late = timedelta(days=source.freshness_days if source else 0)

    def answer(is_so: bool) -> str:
        return "yes" if is_so else "no"

    return {
        "source": manifest.source,
        "yes": "yes",
        "source_known": answer(source is not None),
        "window": manifest.window,
        "window_asked": window.key,
        "landed_after_window": answer(manifest.landed_at >= over),
        "landed_before_now": answer(manifest.landed_at <= now + CLOCK_TOLERANCE),
        "landed_fresh": answer(manifest.landed_at <= over + late),
        "not_taken": "; ".join(manifest.not_taken) or None,
    }


_DAY: Final = ["source", "date", "rows", "rows_missing", "rows_excess", "rows_of_closed_day"]


def _days(manifests: "Sequence[Manifest]", window: Window) -> list[dict[str, Any]]:
    """Return, for each source and date of the window, its rows and their deviation.

    If files are not named by dates, the window is checked as a whole.
    """
    days = []
    for manifest in manifests:
        source = find(manifest.source)
        if source is None:
            continue
        source = source.closed_on(manifest.closed_days)
        closed = [day for day in window.dates() if source.is_closed(day)]
        open_days = len(window) - len(closed)
        if manifest.objects and not any(day_of(item) for item in manifest.objects):
            days.append(_off(source, window.span, manifest.rows, open_days, len(window)))
            continue
        rows = dict.fromkeys(window.dates(), 0)
        for item in manifest.objects:
            day = day_of(item)
            if day in rows:
                rows[day] += item.rows or 0
        days += [
            _off(source, day.isoformat(), count, int(day not in closed))
            for day, count in rows.items()
        ]
    return days


def _off(
    source: "Source", dates: str, rows: int, open_days: int, most_days: int = 1
) -> dict[str, Any]:
    """Return the rows of a day or window, and their deviation from the declared range."""
    missing, excess = source.rows_off(rows, open_days, most_days)
    return {
        "source": source.name,
        "date": dates,
        "rows": rows,
        "rows_missing": missing,
        "rows_excess": excess,
        "rows_of_closed_day": 0 if open_days else rows,
    }


def _is_closed(manifests: "Sequence[Manifest]", window: Window) -> bool:
    """Return whether each day of a window is closed, so that nothing need have landed."""
    source = find(window.source)
    if source is None:
        return False
    source = source.closed_on(day for manifest in manifests for day in manifest.closed_days)
    return all(map(source.is_closed, window.dates()))
