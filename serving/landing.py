"""The decision log → Raw: the decisions of closed days as an object of JSON lines.

Raw has each row of serving.decisions as it is, with tokens, in the order of the decisions.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any, Final

import msgspec
import psycopg
from psycopg.rows import dict_row

from contracts.assets import DECISION_LOG
from contracts.stage_results import LandResult
from contracts.windows import Window, WindowError
from ml.reason_sentences import Reason
from serving.decision_chain import DECISIONS, canonical, encode, hash_of
from sources.land import land_objects
from sources.manifest import Manifest, RawObject, find_latest
from sources.store import create, explained
from warehouse.errors import says_what_is_away

_LONGEST_LINE: Final = 1 << 20
_LONGEST_TRANSACTION: Final = timedelta(minutes=1)
_OF_WINDOW: Final = "decided_at >= %s and decided_at < %s"
_ROWS: Final = (
    f"select {', '.join(DECISIONS.column_names)} from {DECISIONS.name}"  # noqa: S608 - our own names
    f" where {_OF_WINDOW} order by chain_position"
)
_COUNT: Final = f"select count(*) from {DECISIONS.name} where {_OF_WINDOW}"  # noqa: S608


class _Answer(msgspec.Struct):
    """What STAGING takes from an answer, which other versions of the API may have given."""

    reason_codes: list[Reason]
    degraded_causes: list[str]
    duration_ms: float


@says_what_is_away
def land(dsn: str, s3: Any, bucket: str, window: Window, run_id: str) -> LandResult:
    """Write the decisions of closed UTC dates to an object of Raw, and list it in the manifest.

    The object is named by its content, so landing the same decisions twice adds nothing. Decisions
    that differ from those that have landed before are another object in the manifest.

    Args:
        dsn: the warehouse, as the loader.
        s3: a client of the object store that may add to Raw.
        bucket: the bucket of Raw.
        window: dates of decisions, with the source `DECISION_LOG`.
        run_id: the run that lands.

    Raises:
        WindowError: when the last date is not over.
        WarehouseLostError: when Postgres is away; the landing can be repeated.
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond.
    """
    now = datetime.now(UTC)
    first, end = _span(window)
    if now < end + _LONGEST_TRANSACTION:
        raise WindowError(
            f"{window.key} is not over: its decisions land from {end + _LONGEST_TRANSACTION} on."
        )
    with tempfile.TemporaryFile() as body:
        written = _write(dsn, body, first, end)
        key = f"{DECISION_LOG}/decisions/{window.span}/{written['sha256'][:16]}.jsonl"
        latest = find_latest(s3, bucket, window)
        known = [one for one in latest.objects if one.key == key] if latest else []
        if not known and written["rows"]:
            known = [RawObject(key, f"{window.span}.jsonl", landed_at=now, **written)]
            body.seek(0)
            with explained(bucket):
                create(s3, bucket, key, body, Metadata={"sha256": written["sha256"]})
    return land_objects(window, s3, bucket, known, run_id=run_id)


def count_logged(dsn: str, window: Window) -> int:
    """Return how many decisions of the dates the log has."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(_COUNT.encode(), _span(window)).fetchone()
    return int(row[0]) if row else 0


def landed_rows(s3: Any, bucket: str, manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Yield the decisions of a manifest with the columns of staging.decisions, except the run's.

    Raises:
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond.
    """
    for row in _lines(s3, bucket, manifest):
        answer = msgspec.json.decode(row["answer"], type=_Answer)
        yield row | {
            "reason_codes": [reason.code for reason in answer.reason_codes],
            "reason_sentences": [reason.sentence for reason in answer.reason_codes],
            "degraded_causes": answer.degraded_causes,
            "latency_seconds": answer.duration_ms / 1_000,
        }


def count_changed(s3: Any, bucket: str, manifest: Manifest) -> int:
    """Return how many landed decisions have not the hash of their content.

    Raises: as `landed_rows`.
    """
    return sum(row["row_hash"] != hash_of(row) for row in _lines(s3, bucket, manifest))


def landed_heads(s3: Any, bucket: str) -> dict[int, str]:
    """Return the hash of the last row of each object of Raw by its position in the chain.

    Raises: as `landed_rows`.
    """
    heads, prefix = dict[int, str](), f"{DECISION_LOG}/decisions/"
    with explained(bucket):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for key in sorted(one["Key"] for page in pages for one in page.get("Contents", ())):
            end = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{_LONGEST_LINE}")
            last = msgspec.json.decode(end["Body"].read().splitlines()[-1])
            heads[last["chain_position"]] = last["row_hash"]
    return heads


def _lines(s3: Any, bucket: str, manifest: Manifest) -> Iterator[dict[str, Any]]:
    with explained(bucket):
        for one in manifest.objects:
            for line in s3.get_object(Bucket=bucket, Key=one.key)["Body"].iter_lines():
                yield msgspec.json.decode(line)


def _span(window: Window) -> tuple[datetime, datetime]:
    """Return the first instant of a window of UTC dates, and the first one after it."""
    return _midnight(window.start), _midnight(window.end + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _write(dsn: str, body: IO[bytes], first: datetime, end: datetime) -> dict[str, Any]:
    """Write the decisions as lines, and return what a manifest says of them."""
    digest, counts = hashlib.sha256(), Counter[str]()
    amounts: dict[str, Decimal] = {}
    with (
        psycopg.connect(dsn) as connection,
        connection.cursor("decisions_of_a_day", row_factory=dict_row) as rows,
    ):
        for row in rows.execute(_ROWS, (first, end)):
            line = encode(canonical(row)) + b"\n"
            body.write(line)
            digest.update(line)
            currency = row["currency"]
            counts[currency] += 1
            amounts[currency] = amounts.get(currency, Decimal(0)) + row["amount"]
    return {
        "bytes": body.tell(),
        "sha256": digest.hexdigest(),
        "rows": counts.total(),
        "row_counts": dict(sorted(counts.items())),
        "amounts": dict(sorted(amounts.items())),
    }
