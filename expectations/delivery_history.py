"""Comparison of a delivery with earlier deliveries of its source, from their manifests only."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from contracts.windows import Window
from expectations.checkpoint import Batch
from expectations.profiles import LOOKBACK_DAYS, Shape, compared
from expectations.suites import profiles as suite
from sources.declaration import Source

if TYPE_CHECKING:
    from sources.manifest import Manifest, RawObject

_DAILY: Final = ["source_system", "event_date", "rows", "mean_amount"]
_CELLS: Final = ["source_system", "event_date", "kind", "value", "rows"]
_SHAPES: Final[tuple[Shape, ...]] = tuple(s for s in suite.SHAPES if s.kind == "currency")


def read_earlier(s3: Any, bucket: str, window: Window) -> "list[Manifest]":
    """Return the latest manifests of the windows in the days before this one, oldest landing first.

    The list of manifests of a source grows by one key for each window.
    """
    from sources.manifest import Manifest

    since, until = window.start - timedelta(days=LOOKBACK_DAYS), window.start - timedelta(days=1)
    prefix = f"{window.source}/manifests/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    latest: dict[str, str] = {}
    for key in sorted(item["Key"] for page in pages for item in page.get("Contents", ())):
        span = Window.of(window.source, PurePosixPath(key).parent.name)
        if span.start <= until and span.end >= since:
            latest[span.key] = key
    manifests = [
        Manifest.from_json(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        for key in latest.values()
    ]
    return sorted(manifests, key=lambda manifest: manifest.landed_at)


def sent_before(earlier: "Iterable[Manifest]") -> dict[str, set[str]]:
    """Return the names of earlier deliveries of each content, by its SHA-256."""
    names: dict[str, set[str]] = {}
    for manifest in earlier:
        for item in filter(lambda item: item.rows, manifest.objects):
            names.setdefault(item.sha256, set()).add(item.name)
    return names


def profile_batch(
    table: str,
    manifests: "Sequence[Manifest]",
    earlier: "Sequence[Manifest]",
    window: Window,
    source: Source,
) -> Batch:
    """Return the days of a window and the earlier days, by rows, mean amount and currencies."""
    import pandas as pd

    days: dict[date, Manifest] = {}
    for manifest in (*earlier, *manifests):
        parts: dict[date, list[RawObject]] = {}
        for item in manifest.objects:
            day = day_of(item)
            if day is not None and (manifest.window == window.key) == (day in window):
                parts.setdefault(day, []).append(item)
        days |= {day: replace(manifest, objects=tuple(items)) for day, items in parts.items()}
    daily = [
        {
            "source_system": source.name,
            "event_date": day,
            "rows": float(delivered.rows),
            "mean_amount": float(sum(delivered.amounts.values())) / delivered.rows,
        }
        for day, delivered in days.items()
        if delivered.rows
    ]
    cells = [
        {
            "source_system": source.name,
            "event_date": day,
            "kind": "currency",
            "value": currency,
            "rows": rows,
        }
        for day, delivered in days.items()
        for currency, rows in delivered.row_counts.items()
    ]
    frame = compared(
        pd.DataFrame(daily, columns=_DAILY),
        pd.DataFrame(cells, columns=_CELLS),
        suite.RAW_BANDS,
        _SHAPES,
    )
    is_steady = source.ranges.is_steady
    rules = (
        *suite.band_rules((suite.ROWS,), is_steady),
        # One absurd amount moves the mean of a delivery, and its row will be quarantined: gate
        # processed checks the remaining rows.
        *suite.band_rules((suite.MEAN_AMOUNT,), is_steady=False),
        *suite.shape_rules(_SHAPES, is_steady),
    )
    frame = frame[frame["event_date"].isin(set(window.dates()))]
    return Batch(table, frame, rules if len(frame) else (), ("event_date",), part="profile")


def day_of(item: "RawObject") -> date | None:
    """Return the business date that names a delivery or its folder of parts, or None."""
    try:
        return date.fromisoformat(PurePosixPath(PurePosixPath(item.name).parts[0]).stem)
    except ValueError:
        return None
