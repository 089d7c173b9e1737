"""A separate warehouse and a small lake for these tests, on the Postgres of the test platform."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.transforms import IdentityTransform

from contracts.columns import LogicalType
from contracts.render import to_arrow
from contracts.settings import Settings
from contracts.stage_results import (
    BuildResult,
    LoadResult,
    PrepareResult,
    ProcessResult,
    ScoreResult,
    TrainResult,
)
from contracts.stages import Layer
from contracts.tables import TABLES, Table, zone
from contracts.windows import Window
from tests.stage_results import result_of
from tests.warehouses import Warehouses
from warehouse import load, model_registry_export, scores, stream_alerts, transform

_SCORES = TABLES["staging.scores"]
_DRIFT = TABLES["staging.feature_drift"]
_STREAM_ALERTS = TABLES["staging.stream_alerts"]
_TRAINED_AT = datetime(2024, 5, 1, 3, tzinfo=UTC)
_TYPICAL: dict[LogicalType, Any] = {
    LogicalType.STRING: "text",
    LogicalType.INTEGER: 1,
    LogicalType.LONG: 1,
    LogicalType.DOUBLE: 0.25,
    LogicalType.BOOLEAN: False,
    LogicalType.MONEY: Decimal("1.00"),
    LogicalType.STRINGS: ["one", "two"],
    LogicalType.DOUBLES_BY_NAME: [("v1", 0.5), ("v2", None)],
}


def payment_row(table: Table, day: date, number: int, **given: Any) -> dict[str, Any]:
    """Return a plausible row of a table for payment `number` of a day."""
    event_at = datetime.combine(day, time(12, number % 60), UTC)
    row: dict[str, Any] = {}
    for column in table.columns:
        if column.type is LogicalType.TIMESTAMP:
            row[column.name] = event_at
        elif column.type is LogicalType.DATE:
            row[column.name] = day
        else:
            row[column.name] = column.allowed[0] if column.allowed else _TYPICAL[column.type]
        if column.nullable and number % 3 == 0:
            row[column.name] = None
    row |= {
        "event_id": f"{day}/{number}",
        "source_system": "sparkov",
        "customer_id": f"customer {number % 5}",
        "counterparty_id": f"merchant {number % 3}",
        "amount": Decimal(number) + Decimal("0.37"),
        "currency": "EUR" if number % 4 == 0 else "USD",
        "is_fraud": number % 7 == 0,
        "known_at": event_at + timedelta(days=number % 4),
        "raw_object": f"raw/{day}",
        "raw_position": number,
        "reason_codes": ["ONE", "TWO"],
        "reason_sentences": ["One.", "Two."],
        **given,
    }
    return {name: row[name] for name in table.column_names}


def window_of(text: str) -> Window:
    """Read a window; dates alone are of the sample's source."""
    return Window.parse(text) if "@" in text else Window.of("sparkov", text)


Traits = Callable[[int], dict[str, Any]]


@dataclass
class Lake:
    """A small lake: tables that are replaced as wholes, the snapshot of each, and the rows.

    Payments of all sources have the same ids and parties, as sources that know nothing of each
    other may. `traits` says what payment `number` of a source is like; `unlabelled` of a source is
    n when each n-th payment has no label; `refused` are the rows in quarantine, without it one.
    """

    catalog: Catalog
    rows: dict[tuple[str, date], int] = field(default_factory=dict)
    traits: dict[str, Traits] = field(default_factory=dict)
    unlabelled: dict[str, int] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    given_to: frozenset[tuple[str, date]] = frozenset()
    delivered: set[date] = field(default_factory=set)

    def content(self, name: str, **given: Any) -> list[dict[str, Any]]:
        """Return the rows of a dated table, with `given` in those of `self.given_to`."""
        return [
            payment_row(
                TABLES[name],
                day,
                number,
                source_system=source,
                **{
                    **(self.traits[source](number) if source in self.traits else {}),
                    **(given if (source, day) in self.given_to else {}),
                },
            )
            for (source, day), count in sorted(self.rows.items())
            for number in range(count)
            if name != "processed.labels" or not self._is_unlabelled(source, number)
        ]

    def instants(self, source: str) -> list[datetime]:
        """Return the last instant of each day of a source."""
        return [datetime.combine(day, time(23), UTC) for owner, day in self.rows if owner == source]

    def _is_unlabelled(self, source: str, number: int) -> bool:
        return source in self.unlabelled and number % self.unlabelled[source] == 0

    def write(self, name: str, rows: list[dict[str, Any]]) -> int:
        """Replace the rows of a table and return the snapshot."""
        declared = TABLES[name]
        table = self.catalog.load_table(name)
        content = pa.Table.from_pylist(rows, to_arrow.schema(declared))
        if table.current_snapshot() is None:
            table.append(content)
        else:
            table.overwrite(content)
        snapshot = self.catalog.load_table(name).current_snapshot()
        assert snapshot is not None
        return snapshot.snapshot_id

    def publish(
        self, window: str, rows: dict[date, int] | None = None, **given: Any
    ) -> tuple[ProcessResult, PrepareResult]:
        """Add days of `rows` payments each and return what Processed and Sandbox report."""
        asked = window_of(window)
        dates, key = tuple(asked.dates()), asked.key
        counts = rows or dict.fromkeys(dates, 12)
        self.rows |= {(asked.source, day): count for day, count in counts.items()}
        self.given_to = frozenset((asked.source, day) for day in dates)
        parties = {
            "customer_id": [f"customer {n}" for n in range(5)],
            "counterparty_id": [f"merchant {n}" for n in range(3)]
            + [f"customer {n}" for n in range(5)],
        }
        firsts = {
            source: min(day for owner, day in self.rows if owner == source)
            for source in sorted({source for source, _ in self.rows})
        }
        snapshots = {
            name: self.write(name, self.content(name, **given))
            for name in ("processed.transactions", "processed.labels", "sandbox.features")
        }
        for name, party in (
            ("processed.customers", "customer_id"),
            ("processed.merchants", "counterparty_id"),
        ):
            snapshots[name] = self.write(
                name,
                [
                    payment_row(
                        TABLES[name],
                        since,
                        1,
                        source_system=source,
                        last_event_at=max(self.instants(source)),
                        **{party: value},
                    )
                    for source, since in firsts.items()
                    for value in parties[party]
                ],
            )
        refused = payment_row(
            TABLES["processed.quarantine"],
            min(firsts.values()),
            1,
            event_id=None,
            amount=Decimal("-5.00"),
            window_key=key,
        )
        quarantine = self.refused or [refused]
        self.delivered |= {row["delivered_date"] for row in quarantine}
        snapshots["processed.quarantine"] = self.write("processed.quarantine", quarantine)
        sandbox = {"sandbox.features": snapshots.pop("sandbox.features")}
        return (
            result_of(
                ProcessResult,
                key,
                f"process {key}",
                dates=dates,
                snapshots=snapshots,
                delivered_dates=tuple(sorted(self.delivered)),
            ),
            result_of(PrepareResult, key, f"prepare {key}", dates=dates, snapshots=sandbox),
        )


@pytest.fixture(scope="module")
def new_warehouse(warehouses: Warehouses) -> Iterator[Callable[[], Settings]]:
    """Make migrated warehouses in separate databases, which are dropped after the module."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(warehouses.borrowed())


@pytest.fixture(scope="module")
def warehouse(new_warehouse: Callable[[], Settings]) -> Settings:
    """A migrated warehouse that the tests of a module share."""
    return new_warehouse()


@pytest.fixture(scope="session")
def new_lake(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Lake]:
    """Make empty lakes in folders: pyiceberg's own catalog over local files."""

    def make() -> Lake:
        folder = tmp_path_factory.mktemp("lake")
        catalog = SqlCatalog(
            "lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}"
        )
        for table in TABLES.values():
            if table.zone in ("processed", "sandbox"):
                catalog.create_namespace_if_not_exists(table.zone)
                created = catalog.create_table(table.name, to_arrow.schema(table))
                if table.partition_by:
                    with created.update_spec() as update:
                        update.add_field(table.partition_by, IdentityTransform())
        return Lake(catalog)

    return make


class Line:
    """A warehouse and its lake, driven window by window as the DAGs do."""

    def __init__(self, settings: Settings, lake: Lake) -> None:
        self.settings, self.lake = settings, lake
        self.loader: Any = settings.warehouse.dsn("loader")
        self.loading, self.scoring = load, scores

    def beside(self, settings: Settings, loading: Any) -> "Line":
        """Return a line from the same lake into another warehouse, by another loader."""
        other = Line(settings, self.lake)
        other.loader, other.loading, other.scoring = settings, loading, loading
        return other

    def load(self, window: str, **given: Any) -> LoadResult:
        """Load a window into STAGING."""
        published = self.lake.publish(window, **given)
        staged = self.loading.stage(
            self.lake.catalog, self.loader, *published, f"load {window_of(window).key}"
        )
        return self.loading.swap(self.loader, staged)

    def build(self, window: str, layer: Layer = "core") -> BuildResult:
        """Build the dates of a window in the audit schema."""
        parsed = window_of(window)
        return transform.build(
            self.settings,
            window=parsed,
            run_id=f"build {window}",
            dates=parsed.dates(),
            layer=layer,
        )

    def run(self, window: str, **given: Any) -> BuildResult:
        """Load, build and publish a window."""
        self.load(window, **given)
        built = self.build(window)
        transform.publish(self.settings, built)
        return built

    def train(
        self, source: str = "sparkov", version: int = 1, promoted: bool = True
    ) -> TrainResult:
        """Record a model version, trained a day after the one before it."""
        at = _TRAINED_AT + timedelta(days=version)
        trained = result_of(
            TrainResult,
            f"{source}@2024-04-30",
            f"train {version}",
            snapshots={"sandbox.features": 7, "processed.labels": 8},
            model_name=f"fraud_detector_{source}",
            model_version=version,
            trained_at=at,
            promoted=promoted,
            promoted_at=at if promoted else None,
            verdict_reason="not_worse_than_champion: 0.5, expected any",
            # No card precision: without a fraud on the test fold there is none.
            metrics={"rows_train": 900.0, "frauds_train": 9.0, "auc": 0.9, "threshold": 0.5},
            importances={"one": 0.25, "two": -0.01},
        )
        model_registry_export.record_model(self.settings.warehouse.dsn("loader"), trained)
        return trained

    def alert(self, day: date, *numbers: int, **given: Any) -> int:
        """Write alerts of the stream on payments of a day to STAGING; return how many are new."""
        rows = [
            payment_row(_STREAM_ALERTS, day, number, decision="review", **given)
            for number in numbers
        ]
        return stream_alerts.record(self.settings.warehouse.dsn("loader"), rows)

    def score(self, window: str) -> None:
        """Write scores of a window to STAGING; every fifth payment of a day is an alert."""
        asked = window_of(window)
        dates = tuple(asked.dates())
        self.train(asked.source)
        same = {
            "source_system": asked.source,
            "model_name": f"fraud_detector_{asked.source}",
            "model_version": 1,
            "decision": "approve",
            "scored_at": datetime(2024, 6, 1, tzinfo=UTC),
            "run_id": "score",
        }
        rows = [
            payment_row(_SCORES, day, number, **same, score=number / 1000)
            | ({"decision": "review"} if number % 5 == 0 else {})
            for day in dates
            for number in range(self.lake.rows[asked.source, day])
        ]
        table = pa.Table.from_pylist(rows, to_arrow.schema(_SCORES))
        drifted = [
            payment_row(
                _DRIFT,
                day,
                1,
                **same,
                feature_name=name,
                stability_index=0.2,
                transaction_count=self.lake.rows[asked.source, day],
            )
            for day in dates
            for name in ("one", "two")
        ]
        drift = pa.Table.from_pylist(drifted, to_arrow.schema(_DRIFT))
        result = result_of(ScoreResult, asked.key, f"score {asked.key}", dates=dates)
        staged = self.scoring.stage_scores(self.loader, result, table, drift)
        self.scoring.swap_scores(self.loader, staged)


@pytest.fixture(scope="module")
def new_line(warehouses: Warehouses, new_lake: Callable[[], Lake]) -> Iterator[Callable[[], Line]]:
    """Make lines, each with a separate lake and a separate warehouse with all marts, empty."""
    with ExitStack() as stack:
        yield lambda: Line(stack.enter_context(warehouses.borrowed_with_marts()), new_lake())


@pytest.fixture(scope="module")
def payment_marts(warehouses: Warehouses) -> Iterator[None]:
    """Let builds of the layer core make its facts, dimensions and reports of payments alone.

    It halves the time of a build. The views and the marts of operations and decisions are those of
    the template.
    """
    warehouses.template_with_marts()
    with pytest.MonkeyPatch.context() as patch:
        marts = ("path:models/marts/core", "path:models/marts/reports")
        patch.setitem(transform._SELECTED, "core", marts)
        yield


@pytest.fixture
def lake(new_lake: Callable[[], Lake]) -> Lake:
    """An empty lake."""
    return new_lake()


@pytest.fixture
def loader(warehouse: Settings) -> Iterator[psycopg.Connection]:
    """A connection of the loader to an emptied STAGING."""
    with psycopg.connect(warehouse.warehouse.dsn("loader"), autocommit=True) as connection:
        # Partitions, and the tables that loads without a swap have left, partitioned or not.
        leaves = connection.execute(
            "select c.oid::regclass::text from pg_class c"
            " where (relkind = 'r' or relkind = 'p' and relname ~ '__[0-9a-f]{8}$')"
            " and relnamespace = 'staging'::regnamespace order by relispartition desc, relkind desc"
        ).fetchall()
        keep = {table.name for table in zone("staging") if table.partition_by is None}
        for (name,) in leaves:
            verb = "truncate" if name in keep else "drop table"
            connection.execute(f"{verb} {name}".encode())
        yield connection


@pytest.fixture(scope="session")
def payment_rows() -> Callable[..., list[dict[str, Any]]]:
    """Make `count` plausible rows of a table for each of some days."""

    def make(table: Table, days: Iterable[date], count: int, **given: Any) -> list[dict[str, Any]]:
        return [payment_row(table, day, n, **given) for day in days for n in range(count)]

    return make
