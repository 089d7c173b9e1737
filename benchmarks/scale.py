"""Measure how process and prepare grow: `python -m benchmarks.scale --copies 1 4 16 --days 183`.

The handbook's customers and terminals are copied, each copy with other ids, so that the number of
rows grows and the rows of one customer do not. Both jobs run on audit branches that are dropped
afterwards. Each size is measured on the running platform, in sequence, and written to
`docs/scale.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeVar

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.data import NO_HANDBOOK, handbook_days
from benchmarks.page import skip
from benchmarks.rounds import cpu_seconds, service_pids
from contracts.settings import REPO, Settings, load_settings
from contracts.windows import Window
from lake.catalog import open_catalog
from lake.publish import Audited, discard
from sources.discover import Delivery
from sources.land import land
from sources.manifest import named
from sources.store import s3_client
from spark.jobs.prepare import prepare
from spark.jobs.process import process
from spark.session import session

PAGE: Final = REPO / "docs" / "scale.md"
RESULTS: Final = Path(__file__).with_name("scale.json")
_MEASURED: Final = re.compile(r"(<!-- measured -->\n).*?(<!-- end -->)", re.S)
_IDS: Final = {"TRANSACTION_ID": 10_000_000, "CUSTOMER_ID": 100_000, "TERMINAL_ID": 100_000}
"""Offset of ids, larger than the handbook's ids: copy n adds n times the offset."""
_A = TypeVar("_A", bound=Audited)
_SERVICES: Final = ("spark", "s3", "postgres")


@dataclass(frozen=True)
class Measured:
    """One job at one size; bytes are peaks except for `written`."""

    copies: int
    days: int
    job: str
    rows: int
    wall_seconds: float
    cpu_seconds: float
    peak_memory: int
    peak_local_disk: int
    peak_spill: int
    raw_bytes: int
    written: int
    load_before: float
    measured_at: str


class Watch:
    """Samples the driver's memory and its local disk while a job runs."""

    def __init__(self, settings: Settings) -> None:
        """Watch the embedded Spark server of `settings`."""
        self._local = settings.state_dir / "spark" / "local"
        self._pids = service_pids(settings, "spark")
        self._over = threading.Event()
        self._before, _ = self._local_bytes()
        self.memory = self.disk = self.spill = 0

    def __enter__(self) -> Watch:
        """Start sampling."""
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sampling."""
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(0.5):
            memory = sum(psutil.Process(pid).memory_info().rss for pid in self._pids)
            disk, spill = self._local_bytes()
            self.memory = max(self.memory, memory)
            self.disk, self.spill = max(self.disk, disk - self._before), max(self.spill, spill)

    def _local_bytes(self) -> tuple[int, int]:
        """Return the bytes on the local disk, and the spilled part of them."""
        disk = spill = 0
        for file in self._local.rglob("*"):
            try:
                size = file.stat().st_size if file.is_file() else 0
            except FileNotFoundError:
                continue
            disk += size
            # Sorts and cached frames; the other files are shuffle files.
            spill += size if file.name.startswith(("temp_local_", "rdd_")) else 0
        return disk, spill


def copied(file: Path, copies: int, target: Path) -> Path:
    """Write a day with every customer copied; return the new file."""
    day = pq.read_table(file)
    tables = []
    for number in range(copies):
        table = day
        for name, step in _IDS.items():
            ids = pc.add(day[name], pa.scalar(number * step, day[name].type))
            table = table.set_column(table.schema.get_field_index(name), name, ids)
        tables.append(table)
    pq.write_table(pa.concat_tables(tables), target / file.name, compression="zstd")
    return target / file.name


def measured(
    settings: Settings, work: Callable[[], _A], tables: tuple[str, ...], **known: Any
) -> tuple[_A, Measured]:
    """Run a job and measure it."""
    pids, load = service_pids(settings, *_SERVICES), os.getloadavg()[0]
    cpu, began = cpu_seconds(pids), perf_counter()
    with Watch(settings) as watch:
        result = work()
    wall, cpu = perf_counter() - began, cpu_seconds(pids) - cpu
    catalog = open_catalog(settings, "reader")
    written = 0
    for table in tables:
        snapshot = catalog.load_table(table).snapshot_by_id(result.snapshots[table])
        assert snapshot is not None and snapshot.summary is not None  # noqa: S101, PT018
        written += int(snapshot.summary["added-files-size"] or 0)
    return result, Measured(
        rows=sum(balance.rows_out for balance in result.balances),
        wall_seconds=round(wall, 1),
        cpu_seconds=round(cpu, 1),
        peak_memory=watch.memory,
        peak_local_disk=watch.disk,
        peak_spill=watch.spill,
        written=written,
        load_before=round(load, 1),
        measured_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        **known,
    )


def run(settings: Settings, files: list[Path], copies: int) -> list[Measured]:
    """Land the copied days, then measure process and prepare."""
    window = Window(
        "handbook", date.fromisoformat(files[0].stem), date.fromisoformat(files[-1].stem)
    )
    lander, bucket = s3_client(settings, "lander"), settings.s3.raw_bucket
    spark = session(settings)
    stamp = f"scale {copies} {datetime.now(UTC).isoformat()}"
    with tempfile.TemporaryDirectory() as folder:
        deliveries = [Delivery(copied(file, copies, Path(folder))) for file in files]
        landed = land(window, lander, bucket, deliveries, run_id=stamp)
    manifest = named(lander, bucket, landed.manifest)
    known = {"copies": copies, "days": len(files), "raw_bytes": landed.bytes}
    branches: list[Audited] = []
    results: list[Measured] = []
    try:
        processed, result = measured(
            settings,
            lambda: process(
                spark,
                [manifest],
                window,
                run_id=stamp,
                raw_bucket=bucket,
                key_file=settings.pseudonym_key_file,
            ),
            ("processed.transactions", "processed.labels"),
            job="process",
            **known,
        )
        branches.append(processed)
        results.append(result)
        prepared, result = measured(
            settings,
            lambda: prepare(spark, processed, run_id=stamp),
            ("sandbox.features",),
            job="prepare",
            **known,
        )
        branches.append(prepared)
        results.append(result)
    finally:
        for branch in branches:
            discard(spark, branch)
    return results


def record(new: list[Measured]) -> None:
    """Store the newest results of each size, and write them to the page."""
    old = json.loads(RESULTS.read_text()) if RESULTS.is_file() else []
    newest = {(row["copies"], row["days"], row["job"]): row for row in old}
    newest |= {(row.copies, row.days, row.job): asdict(row) for row in new}
    rows = sorted(newest.values(), key=lambda row: (row["days"], row["copies"], row["measured_at"]))
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    lines = "\n".join(drawn(rows))
    PAGE.write_text(_MEASURED.sub(rf"\g<1>{lines}\n\g<2>", PAGE.read_text()))


def drawn(rows: list[dict[str, Any]]) -> list[str]:
    """Return the results as a Markdown table."""
    mib = 2**20
    return [
        "| copies | days | job | rows | wall, s | CPU, s | CPU µs a row | peak memory, MiB |"
        " peak local disk, MiB | of it spill, MiB | Raw, MiB | written, MiB | load before |",
        f"|{'---|' * 13}",
        *(
            f"| {row['copies']} | {row['days']} | {row['job']} | {row['rows']:,} |"
            f" {row['wall_seconds']:.0f} | {row['cpu_seconds']:.0f} |"
            f" {row['cpu_seconds'] / row['rows'] * 1e6:.1f} | {row['peak_memory'] / mib:,.0f} |"
            f" {row['peak_local_disk'] / mib:,.0f} | {row['peak_spill'] / mib:,.0f} |"
            f" {row['raw_bytes'] / mib:,.0f} | {row['written'] / mib:,.0f} |"
            f" {row['load_before']:.1f} |"
            for row in rows
        ),
    ]


def main() -> int:
    """Measure the sizes asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument(
        "--copies", type=int, nargs="+", default=[1, 4, 16], help="copies of each customer (1 4 16)"
    )
    parser.add_argument("--days", type=int, default=183, help="first days of the handbook (183)")
    options = parser.parse_args()
    files = handbook_days()[: options.days]
    if not files:
        return skip("scale", NO_HANDBOOK)
    settings = load_settings()
    run(settings, files[:2], 1)  # warm: classes loaded, code compiled
    for copies in options.copies:
        record(run(settings, files, copies))
    return 0


if __name__ == "__main__":
    sys.exit(main())
