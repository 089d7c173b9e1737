"""The file of a day: its payments in the order of time, with dirt, labels and truth."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simulator import dirt
from simulator.fraud import TYPOLOGIES, fraudulent
from simulator.labels import SOURCES, labels_of
from simulator.payments import DAY_SECONDS, HONEST, Payments, concatenate, honest, late
from simulator.rows import LATEST_DAYS, Feed, identifiers, json_object
from simulator.streams import Purpose, stream
from simulator.world import World

Format = Literal["jsonl", "parquet"]
FORMATS: Final[tuple[Format, ...]] = ("jsonl", "parquet")
_DELAY_OF_REPEAT: Final = 3_600
_SLICE_ROWS: Final = 100_000
"""Rows of JSON that are made at once: their bytes stay far below Arrow's 2 GiB for an array."""


@dataclass(frozen=True)
class Delivery:
    """A day's file and what is true of it.

    Attributes:
        columns: the rows by column, if the format is Parquet.
        lines: the rows as JSON lines, each with its line break, if the format is JSON lines.
        rows: number of rows.
        ledger: the dirt, by row.
        truth: transaction_id, typology and campaign of each fraudulent payment.
        labels: known_at, transaction_id, is_fraud and label_source of each statement.
    """

    columns: dict[str, pa.Array] | None
    lines: list[pa.Array]
    rows: int
    ledger: list[dirt.Entry]
    truth: list[dict[str, str]]
    labels: list[dict[str, str]]


def payments_of(world: World, day: int) -> Payments:
    """Return the payments of a day, ordered by second."""
    rows = concatenate([honest(world, day), fraudulent(world, day)])
    return rows.take(np.argsort(rows.second, kind="stable"))


def deliver(world: World, feed: Feed, day: int, file_format: Format) -> Delivery:
    """Return the delivery of a day.

    Args:
        world: the world.
        feed: the feed of the same world.
        day: the day, from 0.
        file_format: JSON lines or Parquet.
    """
    on_time = payments_of(world, day)
    rng = stream(world.settings.seed, day, Purpose.DIRT)
    arranged = _arrange(world, day, on_time, rng)
    ids = identifiers(world.settings.seed, day, arranged.identifiers)
    columns = feed.rows(arranged.payments, ids.take(pa.array(arranged.identifier)), day)
    file = f"{world.date(day)}.{file_format}"
    ledger, edited = _soil(world, columns, arranged, rng, file, file_format)
    if day >= world.settings.dirt.schema_drift_day:
        drift = dirt.SCHEMA_DRIFT
        ledger.append(dirt.Entry(file, None, drift.name, drift.outcome, None, None, None))
    rows = len(arranged.payments)
    lines = []
    if file_format == "jsonl":
        for start in range(0, rows, _SLICE_ROWS):
            part = {name: column.slice(start, _SLICE_ROWS) for name, column in columns.items()}
            lines.append(_with_edits(feed.json_lines(part), start, edited))
    else:
        _edit_columns(columns, edited)
    return Delivery(
        columns=columns if file_format == "parquet" else None,
        lines=lines,
        rows=rows,
        ledger=ledger,
        truth=_truth(on_time, ids),
        labels=_labels(world, day, on_time, ids),
    )


@dataclass(frozen=True)
class _Arranged:
    """Rows of a file in order: payments, their identifiers, and the dirt of position.

    Attributes:
        identifier: position of each row's identifier.
        identifiers: number of identifiers.
        kind: position in `dirt.KINDS` of each row's dirt, or -1.
    """

    payments: Payments
    identifier: npt.NDArray[np.int64]
    identifiers: int
    kind: npt.NDArray[np.int64]


def _arrange(world: World, day: int, rows: Payments, rng: np.random.Generator) -> _Arranged:
    """Choose the dirty rows of a day, add late and repeated ones, and order all by delivery."""
    rates = world.settings.dirt.rates
    n = len(rows)
    counts = [
        int(rng.binomial(n, rates.get(kind.name, 0.0))) if kind.name != "late" else 0
        for kind in dirt.KINDS
    ]
    chosen = rng.choice(n, min(n, sum(counts)), replace=False)
    kind = np.full(n, -1)
    kind[chosen] = np.repeat(np.arange(len(dirt.KINDS)), counts)[: chosen.size]
    names = {description.name: number for number, description in enumerate(dirt.KINDS)}
    delivered = rows.second.astype(np.float64)
    moved = kind == names["out_of_order"]
    delivered[moved] += rng.uniform(60, 1_800, int(moved.sum()))
    # A repeat follows its original, which itself is clean.
    repeated = np.flatnonzero(
        (kind == names["exact_duplicate"]) | (kind == names["conflicting_duplicate"])
    )
    repeats = rows.take(repeated)
    conflicting = kind[repeated] == names["conflicting_duplicate"]
    repeats.amount[conflicting] += rng.integers(1, 500, int(conflicting.sum()))
    tardy, tardy_delivered = _late(world, day, n, rng)
    payments = concatenate([rows, repeats, tardy])
    kinds = np.concatenate([kind, kind[repeated], np.full(len(tardy), names["late"])])
    kinds[repeated] = -1
    after = rng.uniform(1, _DELAY_OF_REPEAT, repeated.size)
    keys = np.concatenate([delivered, delivered[repeated] + after, tardy_delivered])
    identifier = np.concatenate([np.arange(n), repeated, n + np.arange(len(tardy))])
    order = np.argsort(keys, kind="stable")
    return _Arranged(payments.take(order), identifier[order], n + len(tardy), kinds[order])


def _late(
    world: World, day: int, rows: int, rng: np.random.Generator
) -> tuple[Payments, npt.NDArray[np.float64]]:
    """Return late payments, seconds below 0 for earlier days, and the second of their delivery."""
    least, most = (hours * 3_600 for hours in world.settings.dirt.late_hours)
    wanted = rng.binomial(rows, world.settings.dirt.rates.get("late", 0.0))
    lags = np.bincount(rng.integers(0, LATEST_DAYS + 1, wanted), minlength=LATEST_DAYS + 1)
    parts, keys = [], []
    for lag, count in enumerate(lags.tolist()):
        part = late(world, max(0, day - lag), day, count if lag <= day else 0)
        part.second[:] -= lag * DAY_SECONDS
        low = np.maximum(part.second + least, 0)
        high = np.minimum(part.second + most, DAY_SECONDS)
        possible = low < high
        keys.append((low + rng.random(low.size) * (high - low))[possible])
        parts.append(part.take(possible))
    return concatenate(parts), np.concatenate(keys)


def _soil(
    world: World,
    columns: dict[str, pa.Array],
    arranged: _Arranged,
    rng: np.random.Generator,
    file: str,
    file_format: Format,
) -> tuple[list[dirt.Entry], dict[int, dirt.Row]]:
    """Return the ledger of a file, and its edited rows by position."""
    dirty = np.flatnonzero(arranged.kind >= 0)
    texts = pa.table(columns).take(pa.array(dirty)).to_pylist()
    ledger, edited = [], {}
    for position, row in zip(dirty.tolist(), texts, strict=True):
        kind = dirt.KINDS[int(arranged.kind[position])]
        if kind.json_only and file_format != "jsonl":
            continue
        identifier, field = row["transaction_id"], None
        if kind.edit is not None:
            field = kind.edit(row, rng)
            edited[position] = row
        reason = dirt.reason_of(kind.name, field)
        field = None if field == dirt.CUT else field
        entry = dirt.Entry(file, position, kind.name, kind.outcome, field, identifier, reason)
        ledger.append(entry)
    return ledger, edited


def _with_edits(lines: pa.Array, start: int, edited: dict[int, dirt.Row]) -> pa.Array:
    """Return the lines of a slice with those of the edited rows in their places."""
    mask = np.zeros(len(lines), bool)
    texts = []
    for position in sorted(edited):
        if start <= position < start + len(lines):
            row = dict(edited[position])
            is_cut = row.pop(dirt.CUT, None) is not None
            text = json_object(row)
            texts.append((text[: len(text) * 2 // 3] if is_cut else text) + "\n")
            mask[position - start] = True
    if not texts:
        return lines
    return pc.replace_with_mask(lines, pa.array(mask), pa.array(texts, pa.string()))


def _edit_columns(columns: dict[str, pa.Array], edited: dict[int, dirt.Row]) -> None:
    """Put the texts of edited rows into the columns."""
    if not edited:
        return
    positions = sorted(edited)
    rows = len(columns["transaction_id"])
    mask = np.zeros(rows, bool)
    mask[positions] = True
    for name, column in columns.items():
        if name in dirt.EDITED:
            texts = pa.array([edited[position][name] for position in positions], pa.string())
            whole = pc.cast(column, pa.string())
            columns[name] = pc.replace_with_mask(whole, pa.array(mask), texts)


def _truth(payments: Payments, ids: pa.Array) -> list[dict[str, str]]:
    rows = np.flatnonzero(payments.typology != HONEST)
    return [
        {
            "transaction_id": identifier,
            "typology": TYPOLOGIES[int(payments.typology[row])].name,
            "campaign": str(payments.campaign[row]),
        }
        for row, identifier in zip(rows.tolist(), ids.take(pa.array(rows)).to_pylist(), strict=True)
    ]


def _labels(world: World, day: int, payments: Payments, ids: pa.Array) -> list[dict[str, str]]:
    labels = labels_of(world, day, payments)
    midnight = datetime.combine(world.date(day), datetime.min.time(), UTC)
    return [
        {
            "known_at": (midnight + timedelta(seconds=int(labels.known_second[number])))
            .isoformat()
            .replace("+00:00", "Z"),
            "transaction_id": identifier,
            "is_fraud": str(labels.is_fraud[number]),
            "label_source": SOURCES[int(labels.source[number])],
        }
        for number, identifier in enumerate(ids.take(pa.array(labels.row)).to_pylist())
    ]
