"""Fixtures of the gate tests: a day on its audit branch, a warehouse, and faults in them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from contracts.columns import LogicalType
from contracts.render import to_arrow
from contracts.results import GateResult
from contracts.settings import Settings
from contracts.stage_results import BuildResult, LoadResult, PrepareResult, ProcessResult
from contracts.tables import TABLES, Table
from contracts.windows import Window
from expectations.gates import gate_production, gate_staging
from expectations.processed import evaluate_processed, processed_frames
from expectations.sandbox import sandbox_frames
from sources.discover import deliveries
from sources.land import land
from sources.manifest import Manifest, find_latest
from sources.store import s3_client
from tests.stage_results import result_of
from tests.warehouses import Warehouses
from warehouse import staging_sums
from warehouse.load import stage
from warehouse.load_plan import SOURCES

REPO = Path(__file__).resolve().parents[2]
WINDOW = Window.parse("sparkov@2024-07-15")
Frames = dict[str, Any]
DAYS = (date(2024, 7, 1), date(2024, 7, 2))
ROWS = 20
TYPICAL: dict[LogicalType, Any] = {
    LogicalType.STRING: "text",
    LogicalType.INTEGER: 1,
    LogicalType.LONG: 1,
    LogicalType.DOUBLE: 0.5,
    LogicalType.BOOLEAN: False,
    LogicalType.MONEY: Decimal("1.00"),
    LogicalType.STRINGS: ["late"],
    LogicalType.DOUBLES_BY_NAME: [("v1", 0.5), ("v2", None)],
}


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Run code in a fresh interpreter and return what it prints."""

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    return run


@dataclass
class Line:
    """A day that was landed, processed and prepared, but not published."""

    spark: Any
    manifests: list[Manifest]
    processed: ProcessResult
    prepared: PrepareResult
    state_dir: Path

    def frames(self) -> Frames:
        """Return the audited frames of Processed, by short name."""
        return processed_frames(self.spark, self.processed)

    def evaluate_processed(self, frames: Frames) -> GateResult:
        """Return the gate result of changed frames."""
        return evaluate_processed(
            self.spark, frames, self.processed, self.manifests, self.state_dir
        )


@pytest.fixture(scope="module")
def line(
    spark: Any, spark_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    """Land, process and prepare a day without publishing it."""
    from lake.publish import discard
    from spark.jobs.prepare import prepare
    from spark.jobs.process import process

    settings, bucket = spark_settings, spark_settings.s3.raw_bucket
    client = s3_client(settings, "lander")
    files = deliveries(WINDOW, settings.data_dir)
    land(WINDOW, client, bucket, files, run_id="land_gates")
    manifest = find_latest(client, bucket, WINDOW)
    assert manifest is not None
    processed = process(
        spark,
        [manifest],
        WINDOW,
        run_id="process_gates",
        raw_bucket=bucket,
        key_file=settings.pseudonym_key_file,
    )
    prepared = prepare(spark, processed, run_id="prepare_gates")
    yield Line(spark, [manifest], processed, prepared, tmp_path_factory.mktemp("state"))
    discard(spark, prepared)
    discard(spark, processed)


@pytest.fixture(scope="module")
def processed(line: Line) -> Iterator[Frames]:
    """Give the frames of Processed, read from the lake once for all tests."""
    yield from _persisted(line.frames())


@pytest.fixture(scope="module")
def sandbox(line: Line) -> Iterator[Frames]:
    """Give the frames of the Sandbox, read from the lake once for all tests."""
    yield from _persisted(sandbox_frames(line.spark, line.prepared))


def _persisted(frames: Frames) -> Iterator[Frames]:
    from pyspark import StorageLevel

    # On disk: a block that is evicted from memory while another thread reads it is an error.
    persisted = {name: frame.persist(StorageLevel.DISK_ONLY) for name, frame in frames.items()}
    yield persisted
    for frame in persisted.values():
        frame.unpersist()


def closed_by(result: GateResult) -> set[str]:
    """Return the names of the checks that close a gate."""
    return {c.name for c in result.checks if not c.passed and c.severity == "critical"}


def put(name: str, column: str, expression: str, where: str = "true") -> Callable[[Frames], Frames]:
    """Return a fault: a column of a frame has another value in some rows."""

    def fault(frames: Frames) -> Frames:
        changed = frames[name].selectExpr(
            *(
                f"case when {where} then {expression} else {c} end as {c}" if c == column else c
                for c in frames[name].columns
            )
        )
        return {**frames, name: changed}

    return fault


def only(name: str, where: str) -> Callable[[Frames], Frames]:
    """Return a fault: a frame has lost all other rows."""
    return lambda frames: {**frames, name: frames[name].where(where)}


def twice(name: str) -> Callable[[Frames], Frames]:
    """Return a fault: a frame has one row twice."""
    return lambda frames: {**frames, name: frames[name].unionAll(frames[name].limit(1))}


def without(name: str, column: str) -> Callable[[Frames], Frames]:
    """Return a fault: a frame has lost a column."""
    return lambda frames: {**frames, name: frames[name].drop(column)}


def payment_row(table: Table, day: date, number: int) -> dict[str, Any]:
    """Return a payment of a day as a row of `table`."""
    at = datetime(day.year, day.month, day.day, number, 30, tzinfo=UTC)
    row: dict[str, Any] = {}
    for column in table.columns:
        if column.type is LogicalType.TIMESTAMP:
            row[column.name] = at
        elif column.type is LogicalType.DATE:
            row[column.name] = day
        else:
            row[column.name] = column.allowed[0] if column.allowed else TYPICAL[column.type]
    row |= {
        "event_id": f"{day:%Y%m%d}{number:024x}",
        "source_system": "sparkov",
        "customer_id": f"{number % 5:032x}",
        "instrument_id": f"{number % 5:032x}",
        "device_id": None,
        "ip_hash": None,
        "counterparty_id": f"merchant {number % 3}",
        "content_hash": "0" * 64,
        "amount": Decimal(number) + Decimal("0.37"),
        "currency": "USD",
        "country": "US",
        "region": "FL",
        "is_fraud": number == 7,
        "known_at": at + timedelta(days=2),
        "raw_object": f"raw/{day}",
        "raw_position": number,
        "customer_amount_sum_1h": Decimal("9999.00"),
        "customer_amount_sum_24h": Decimal("9999.00"),
    }
    return {name: row[name] for name in table.column_names}


@dataclass
class House:
    """A small lake, and a warehouse that was loaded from it."""

    settings: Settings
    catalog: Any
    staged: LoadResult
    state_dir: Path

    def gate(self) -> GateResult:
        """Return the gate result of the shadow tables of STAGING."""
        return gate_staging(self.dsn("loader"), self.catalog, self.staged, self.state_dir)

    def production(self) -> GateResult:
        """Return the gate result of the audit schema."""
        window = "sparkov@2024-07-01--2024-07-02"
        return self.production_of(
            result_of(BuildResult, window, "build_gates", dates=self.staged.dates)
        )

    def production_of(self, built: BuildResult) -> GateResult:
        """Return the gate result of the audit schema as a build of the current STAGING."""
        with psycopg.connect(self.dsn("transformer")) as connection:
            staging_sums.record(connection, built.run_id, built.window.source, built.dates)
            connection.execute(
                "insert into production_audit.layer_state (layer, source_system, run_id)"
                " values (%s, %s, %s) on conflict do nothing",
                (built.layer, built.window.source, built.run_id),
            )
        return gate_production(self.dsn("transformer"), built, self.state_dir)

    def dsn(self, role: Any) -> str:
        """Return the login of a role."""
        return self.settings.warehouse.dsn(role)

    def stage(self, dates: tuple[date, ...] = DAYS) -> None:
        """Load the lake again into shadow tables, by a window that touched these dates."""
        self.staged = _stage(self.settings, self.catalog, self.staged.snapshots, dates)

    def spoil(self, role: Any, *statements: str) -> None:
        """Run statements as a role."""
        with psycopg.connect(self.dsn(role)) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    @staticmethod
    def closed_by(result: GateResult) -> set[str]:
        """Return the names of the checks that closed a gate."""
        return {c.name for c in result.checks if not c.passed and c.severity == "critical"}


@pytest.fixture(scope="module")
def own(warehouses: Warehouses) -> Iterator[Settings]:
    """A warehouse that the tests of a module share."""
    with warehouses.borrowed() as made:
        yield made


@pytest.fixture(scope="module")
def house(own: Settings, tmp_path_factory: pytest.TempPathFactory) -> House:
    from pyiceberg.catalog.sql import SqlCatalog

    folder = tmp_path_factory.mktemp("lake")
    catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}")
    snapshots = {}
    for zone in ("processed", "sandbox"):
        catalog.create_namespace(zone)
    for name in SOURCES.values():
        table = TABLES[name]
        days = DAYS if table.partition_by else DAYS[:1]
        rows = {"customers": 5, "merchants": 3, "quarantine": 2}.get(table.short_name, ROWS)
        content = [payment_row(table, day, n) for day in days for n in range(rows)]
        created = catalog.create_table(name, to_arrow.schema(table))
        created.append(pa.Table.from_pylist(content, to_arrow.schema(table)))
        snapshots[name] = created.current_snapshot().snapshot_id
    staged = _stage(own, catalog, snapshots, DAYS)
    return House(own, catalog, staged, tmp_path_factory.mktemp("gates"))


def _stage(
    settings: Settings, catalog: Any, snapshots: dict[str, int], dates: tuple[date, ...]
) -> LoadResult:
    """Load a window that touched these dates into shadow tables."""
    window = "sparkov@2024-07-01--2024-07-02"
    wrote: dict[str, Any] = {"dates": dates, "snapshots": snapshots}
    processed = result_of(ProcessResult, window, "process_1", delivered_dates=DAYS, **wrote)
    prepared = result_of(PrepareResult, window, "prepare_1", **wrote)
    return stage(catalog, settings.warehouse.dsn("loader"), processed, prepared, "load_gates")


@pytest.fixture(scope="session")
def warehouse_row() -> Callable[[Table, date, int], dict[str, Any]]:
    """Give `payment_row`."""
    return payment_row
