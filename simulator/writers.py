"""Days of the world as files, or as a stream of JSON lines."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from simulator.days import Delivery, Format, deliver
from simulator.rows import Feed
from simulator.world import World

Label = dict[str, str]
Progress = Callable[[int, int], None]
"""Called with the days and the rows that are written so far."""
FOLDERS: Final = ("payments", "labels", "truth", "dirt")
_STREAM_PARTS_A_SECOND: Final = 20


class OutputError(Exception):
    """The output folder cannot be used."""


@dataclass(frozen=True)
class _Job:
    world: World
    feed: Feed
    folder: Path
    file_format: Format

    def write(self, day: int) -> tuple[int, list[Label]]:
        """Write payments, truth and dirt of a day; return its number of rows and its labels."""
        delivery = deliver(self.world, self.feed, day, self.file_format)
        name = str(self.world.date(day))
        _write_payments(self.folder / "payments" / f"{name}.{self.file_format}", delivery)
        _write_lines(self.folder / "truth" / f"{name}.jsonl", delivery.truth)
        ledger = "".join(entry.line() for entry in delivery.ledger)
        (self.folder / "dirt" / f"{name}.jsonl").write_text(ledger)
        return delivery.rows, delivery.labels


_job: _Job | None = None
"""The job of a worker process."""


def write_days(
    world: World,
    days: range,
    folder: Path,
    file_format: Format,
    workers: int,
    progress: Progress,
) -> int:
    """Write a file for each day and return the number of rows; workers change no byte of them.

    The folder receives `payments/<date>.<format>`, `truth/<date>.jsonl` with the frauds of that
    day, `dirt/<date>.jsonl` with the ledger of that file, and `labels/<date>.jsonl` with what
    becomes known on that date, up to 110 days after the last payment; that of a written day may be
    empty.

    Args:
        world: the world.
        days: the days to write.
        folder: where to write; it is made if it does not exist.
        file_format: format of the payments.
        workers: number of processes.
        progress: called after each day.

    Raises:
        OutputError: when the folder has files of an earlier run, or cannot be written.
    """
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
            if any((folder / name).iterdir()):
                raise OutputError(f"{folder / name} is not empty: choose another output folder.")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}.") from error
    labels = defaultdict[str, list[Label]](list, {str(world.date(day)): [] for day in days})
    rows = 0
    for done, (count, known) in enumerate(_written(world, days, folder, file_format, workers), 1):
        rows += count
        for label in known:
            labels[label["known_at"][:10]].append(label)
        progress(done, rows)
    for name, known in labels.items():
        known.sort(key=lambda label: (label["known_at"], label["transaction_id"]))
        _write_lines(folder / "labels" / f"{name}.jsonl", known)
    return rows


def stream_days(world: World, days: range, rate: float | None, output: BinaryIO) -> int:
    """Write the payments of days as JSON lines and return their number.

    Args:
        world: the world.
        days: the days to write.
        rate: rows a second, or None for as fast as possible.
        output: where to write.
    """
    feed = Feed(world)
    rows = 0
    begin = time.monotonic()
    for day in days:
        for lines in deliver(world, feed, day, "jsonl").lines:
            step = len(lines) if rate is None else max(1, int(rate / _STREAM_PARTS_A_SECOND))
            for start in range(0, len(lines), step):
                part = lines.slice(start, step)
                if rate is not None:
                    time.sleep(max(0.0, begin + rows / rate - time.monotonic()))
                output.write(_bytes(part))
                output.flush()
                rows += len(part)
    return rows


def _written(
    world: World, days: range, folder: Path, file_format: Format, workers: int
) -> Iterator[tuple[int, list[Label]]]:
    """Write the days and yield the rows and labels of each, in the order of days."""
    if workers == 1:
        job = _Job(world, Feed(world), folder, file_format)
        yield from map(job.write, days)
        return
    with ProcessPoolExecutor(
        workers, get_context("spawn"), _start_worker, (world, folder, file_format)
    ) as pool:
        yield from pool.map(_write, days)


def _start_worker(world: World, folder: Path, file_format: Format) -> None:
    global _job
    pa.set_cpu_count(1)
    _job = _Job(world, Feed(world), folder, file_format)


def _write(day: int) -> tuple[int, list[Label]]:
    if _job is None:
        raise RuntimeError("A worker writes days only after its start.")
    return _job.write(day)


def _write_payments(path: Path, delivery: Delivery) -> None:
    if delivery.columns is not None:
        pq.write_table(pa.table(delivery.columns), path, compression="zstd")
        return
    with path.open("wb") as file:
        for lines in delivery.lines:
            file.write(_bytes(lines))


def _bytes(lines: pa.Array) -> memoryview:
    """Return the text of all lines, one after the other, without a copy."""
    first, last = lines.offset, lines.offset + len(lines)
    offsets = memoryview(lines.buffers()[1]).cast("i")
    return memoryview(lines.buffers()[2])[offsets[first] : offsets[last]]


def _write_lines(path: Path, rows: list[dict[str, Any]] | list[Label]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
