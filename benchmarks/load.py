"""Load the lake into STAGING, compared with a server-side COPY of the same rows.

`python -m benchmarks.load [--rounds N] [--window KEY]`, on a running platform that has prepared the
window, by default the largest one in the run ledger. Each contestant ends with the same kind of
table, rolled back afterwards: a filled partition for each day, with keys and statistics. The floor
is the fastest possible load: Postgres copies binary files of these rows from its disk, each day
directly into its partition. A variant copies one file of all rows, which Postgres routes to
partitions.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from benchmarks.page import write_section
from benchmarks.rounds import interleaved, service_pids, table
from contracts.settings import HOST, Settings, load_settings
from contracts.stage_results import PrepareResult
from contracts.stages import Stage
from contracts.tables import TABLES, Table
from contracts.windows import Window
from embedded import secrets
from lake import read as lake
from lake.catalog import open_catalog
from warehouse import ledger, load, partition_exchange, reconcile

_LOADED = {
    "staging.features": ("sandbox.features", 0.7),
    "staging.transactions": ("processed.transactions", 0.4),
}
"""Table → its source in the lake, and the minimum ratio to the speed of the floor."""


@dataclass
class Contest:
    """One table of one window, loaded in several ways."""

    settings: Settings
    table: Table
    source: str
    snapshot: int
    dates: tuple[date, ...]
    folder: Path

    @property
    def _owner(self) -> str:
        """Return the login that may read and write files on the server."""
        password = secrets.read(self.settings.secrets_dir, "postgres_superuser")
        port = self.settings.port("postgres")
        return f"postgresql://postgres:{password}@{HOST}:{port}/{self.settings.warehouse.database}"

    def _create(self) -> list[str]:
        origin = partition_exchange.Origin(
            "benchmark", self.snapshot, 0, datetime.now(UTC).isoformat()
        )
        return partition_exchange.create(self.table, "benchmark", self.dates, origin)

    @property
    def _name(self) -> str:
        return partition_exchange.shadow_name(self.table, "benchmark")

    @contextmanager
    def _beside(self) -> Iterator[Any]:
        with psycopg.connect(self._owner) as connection, connection.cursor() as cursor:
            cursor.execute("; ".join(self._create()).encode())
            yield cursor
            connection.rollback()

    def _fill(self, cursor: Any) -> reconcile.Tally:
        """Copy the rows from the lake, as `warehouse.load` does."""
        catalog, tally = open_catalog(self.settings), reconcile.Tally(self.table)
        names = self.table.column_names
        rows = lake.read_dates(catalog, self.source, self.snapshot, self.dates, columns=names)
        load.fill(cursor, self.table, "benchmark", tally.watch(rows))
        return tally

    def _seal(self, cursor: Any) -> None:
        cursor.execute(
            "; ".join(partition_exchange.seal(self.table, "benchmark", self.dates)).encode()
        )

    def _files(self) -> list[tuple[str, Path]]:
        """Return each day's partition with the file of its rows."""
        return [
            (
                partition_exchange.shadow_partition(self.table, day, "benchmark"),
                self.folder / f"{day}.bin",
            )
            for day in self.dates
        ]

    def write_files(self) -> int:
        """Make the server write the rows to binary files, and return the number of rows."""
        whole = (self._name, self.folder / "whole.bin")
        with self._beside() as cursor:
            self._fill(cursor)
            for name, file in (whole, *self._files()):
                cursor.execute(f"copy (select * from {name}) to '{file}' (format binary)".encode())  # noqa: S608 - our own name
            cursor.execute(f"select count(*) from {self._name}".encode())  # noqa: S608 - our own name
            return int(cursor.fetchone()[0])

    def from_the_lake(self) -> None:
        """Read the lake, copy, seal, reconcile."""
        with self._beside() as cursor:
            tally = self._fill(cursor)
            self._seal(cursor)

            def fetch(query: str) -> list[tuple[Any, ...]]:
                return list(cursor.execute(query.encode()).fetchall())

            stored = reconcile.stored(self.table, self._name, fetch)
            if reconcile.differences(self.table, tally.measures(), stored):
                raise RuntimeError(f"{self.table.name} was not loaded whole.")

    def copy_from_the_lake(self) -> None:
        """Read the lake and copy only."""
        with self._beside() as cursor:
            self._fill(cursor)

    def server_copy(self) -> None:
        """Make the server copy its files, each into its partition, only."""
        with self._beside() as cursor:
            for name, file in self._files():
                cursor.execute(f"copy {name} from '{file}' (format binary, freeze)".encode())

    def server_copy_whole(self) -> None:
        """Make the server copy one file, and route each row to its partition."""
        with self._beside() as cursor:
            cursor.execute(f"copy {self._name} from '{self.folder}/whole.bin' (format binary)")


def main() -> int:
    """Run the benchmark and write its section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each figure (default 3)")
    parser.add_argument("--window", help="window key (default: the largest)")
    options = parser.parse_args()
    busy, settings = os.getloadavg()[0], load_settings()
    dsn = settings.warehouse.dsn("loader")
    window = Window.parse(options.window or _largest(dsn))
    prepared = ledger.latest(dsn, PrepareResult, window)
    lines = [
        f"The window is {window.key}. Both sides end with the same kind of table, a partition"
        " a day; the floor has no lake to read, nothing to reconcile and no keys to build.",
    ]
    for name, (source, least) in _LOADED.items():
        lines += _contest(settings, prepared, name, source, least, options.rounds)
    write_section("load", title="Lake to STAGING", lines=lines, busy=busy)
    return 0


def _largest(dsn: str) -> str:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select window_key from staging.run_balances where stage = %s"
            " group by window_key order by max(rows_out) desc limit 1",
            (str(Stage.PREPARE),),
        ).fetchone()
    if row is None:
        raise SystemExit("no window was prepared yet: run a window through all stages first.")
    return str(row[0])


def _contest(
    settings: Settings, prepared: PrepareResult, name: str, source: str, least: float, rounds: int
) -> list[str]:
    """Run the ways to fill one table in alternation, and compare them."""
    with tempfile.TemporaryDirectory() as folder:
        # The server writes and reads the file, and may run as another user.
        Path(folder).chmod(0o777)
        contest = Contest(
            settings,
            TABLES[name],
            source,
            prepared.snapshots[source],
            prepared.dates,
            Path(folder),
        )
        rows = contest.write_files()
        timings = interleaved(
            {
                "server-side COPY": contest.server_copy,
                "the same, one file": contest.server_copy_whole,
                "lake to table": contest.copy_from_the_lake,
                "lake to table, keys, statistics, reconciled": contest.from_the_lake,
            },
            rounds=rounds,
            processes=service_pids(settings, "postgres"),
        )
    floor = median(timing.wall for timing in timings["server-side COPY"])
    ours = median(timing.wall for timing in timings["lake to table"])
    shares = zip(timings["server-side COPY"], timings["lake to table"], strict=True)
    share = median(one.wall / other.wall for one, other in shares)
    return [
        "",
        f"### {name}: {rows:,} rows, {len(TABLES[name].columns)} columns",
        "",
        *table(timings, against="server-side COPY"),
        "",
        f"{rows / ours:,.0f} rows/s against {rows / floor:,.0f}: {share:.2f} of the floor's speed"
        f" (at least {least} is asked for).",
    ]


if __name__ == "__main__":
    sys.exit(main())
