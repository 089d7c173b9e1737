"""A small world of payments with a planted fraud pattern, as Arrow tables and as a real lake."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from contracts.columns import LogicalType
from contracts.features import FEATURE_NAMES, SOURCE_FEATURES
from contracts.render import to_arrow
from contracts.tables import TABLES

FIRST_DAY = date(2024, 5, 1)
World = tuple[pa.Table, pa.Table]


def _column(name: str, rows: int, random: np.random.Generator) -> list[Any]:
    column = next(c for c in TABLES["sandbox.features"].columns if c.name == name)
    if column.type is LogicalType.BOOLEAN:
        return (random.random(rows) < 0.3).tolist()
    if column.type in (LogicalType.INTEGER, LogicalType.LONG):
        return random.integers(1, 24, rows).tolist()
    values = random.lognormal(0, 0.5, rows)
    if column.type is LogicalType.MONEY:
        return [Decimal(f"{value:.2f}") for value in values]
    return (values / values.max() if "share" in name else values).tolist()


def make_world(
    days: int = 60,
    customers: int = 600,
    a_day: int = 120,
    seed: int = 7,
    planted: float = 1.0,
    source: str = "sparkov",
    currency: str = "USD",
    lacking: tuple[str, ...] = (),
) -> World:
    """Return (sandbox.features, processed.labels); a fraud is large, at night, and often fast.

    `planted` is the share of frauds that the features tell; at 0 they say nothing. Features in
    `lacking` are null, as where a source has not the columns for them.
    """
    random = np.random.default_rng(seed)
    rows = days * a_day
    seconds = np.sort(random.integers(0, days * 86_400, rows))
    start = datetime.combine(FIRST_DAY, datetime.min.time(), tzinfo=UTC)
    event_at = [start + timedelta(seconds=int(s)) for s in seconds]
    is_fraud = random.random(rows) < 0.03
    signal = is_fraud & (np.random.default_rng(seed + 1).random(rows) < planted)
    values: dict[str, list[Any]] = {n: _column(n, rows, random) for n in FEATURE_NAMES}
    amount = random.lognormal(3, 1, rows) * np.where(signal, 6, 1)
    values["amount"] = [Decimal(f"{x:.2f}") for x in amount]
    values["amount_to_mean_ratio"] = (
        random.lognormal(0, 0.6, rows) * np.where(signal, 4, 1)
    ).tolist()
    values["is_night"] = (random.random(rows) < np.where(signal, 0.8, 0.1)).tolist()
    values["time_since_last_seconds"] = [
        None if x < 0.02 else int(x * 80_000) for x in random.random(rows)
    ]
    values |= {
        "event_id": [f"e{i:06d}" for i in range(rows)],
        "source_system": [source] * rows,
        "event_at": event_at,
        "event_date": [t.date() for t in event_at],
        "customer_id": [f"c{i:03d}" for i in random.integers(0, customers, rows)],
        "counterparty_id": [f"m{i:03d}" for i in random.integers(0, 30, rows)],
        "currency": [currency] * rows,
        SOURCE_FEATURES: [None] * rows,
        **{name: [None] * rows for name in lacking},
    }
    labels = {
        "event_id": values["event_id"],
        "source_system": values["source_system"],
        "event_date": values["event_date"],
        "is_fraud": is_fraud.tolist(),
        "scenario": [None] * rows,
        "label_source": ["truth"] * rows,
        "known_at": [t + timedelta(days=float(random.random() * 7)) for t in event_at],
        "raw_object": ["sparkov/transactions/x.parquet"] * rows,
    }
    return (
        pa.table(values, schema=to_arrow.schema(TABLES["sandbox.features"])),
        pa.table(labels, schema=to_arrow.schema(TABLES["processed.labels"])),
    )


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Compute on one thread, as the jobs do: more are slow where tests run in parallel."""
    import sklearn.ensemble  # noqa: F401 - limits reach only libraries that are loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="session")
def build_world() -> Callable[..., World]:
    return make_world


@pytest.fixture(scope="session")
def world() -> World:
    return make_world()


@pytest.fixture(scope="session")
def as_of() -> datetime:
    """The midnight after the last day of `world`."""
    return datetime(2024, 6, 30, tzinfo=UTC)


class Lake:
    """A real Iceberg catalog on local files, with one world at a time."""

    def __init__(self, folder: Path) -> None:
        from pyiceberg.catalog.sql import SqlCatalog

        self.catalog = SqlCatalog(
            "lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}"
        )
        for zone in ("processed", "sandbox"):
            self.catalog.create_namespace(zone)

    def publish(self, *worlds: World) -> dict[str, int]:
        """Overwrite both tables with these worlds and return their new snapshots."""
        snapshots = {}
        for name, parts in zip(
            ("sandbox.features", "processed.labels"), zip(*worlds, strict=True), strict=True
        ):
            rows = pa.concat_tables(parts)
            table = self.catalog.create_table_if_not_exists(name, schema=rows.schema)
            if table.spec().is_unpartitioned():
                with table.update_spec() as spec:
                    spec.add_identity("event_date")
            table.overwrite(rows)
            current = table.current_snapshot()
            assert current is not None
            snapshots[name] = current.snapshot_id
        return snapshots


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    lake = Lake(tmp_path)
    yield lake
    lake.catalog.close()
