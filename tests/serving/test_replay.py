"""Decisions of the API, computed again from the lake and the log: matched, or with a reason not."""

import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pyarrow.compute as pc
import pytest
from psycopg.rows import dict_row
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.transforms import IdentityTransform

from contracts.render import to_arrow
from contracts.serving_columns import ReplayOutcome
from contracts.settings import Settings
from contracts.tables import TABLES
from ml.champion import Champion
from ml.errors import NoChampion
from serving.additions import add_streamed
from serving.decision_chain import canonical, encode
from serving.fill import fill
from serving.replay import Replayed, replay, sample
from serving.service import DecisionService
from tests.serving.champions import learnt
from tests.serving.sample import lake
from tests.serving.test_fill import whole
from tests.serving.test_parity import pseudonymised, requested
from warehouse.errors import WarehouseLostError

pytestmark = pytest.mark.postgres
Row = dict[str, Any]


class Day:
    """Payments of a day that the API has decided on, and the lake that filled its store."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.dsn = settings, settings.warehouse.dsn("loader")
        payments, labels = lake()
        self.champion: Champion = learnt(payments, labels)
        self.last: date = payments["event_date"][-1].as_py()
        self._in_lake = pseudonymised(payments, settings.pseudonym_key_file)
        dates = payments.select(["event_id", "event_date", "event_at"])
        self.catalog: Catalog = SqlCatalog(
            "lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}"
        )
        self.catalog.create_namespace("processed")
        is_known = pc.less(self._in_lake["event_date"], self.last)
        for table, rows in (
            ("processed.transactions", self._in_lake.filter(is_known)),
            ("processed.labels", labels.join(dates, "event_id")),
        ):
            created = self.catalog.create_table(table, to_arrow.schema(TABLES[table]))
            with created.update_spec() as update:
                update.add_field("event_date", IdentityTransform())
            created.append(whole(rows, table))
        fill(self.catalog, self.dsn, "sparkov")
        service = DecisionService(settings)
        service.models.use({"sparkov": self.champion})
        is_of_day = pc.equal(payments["event_date"], self.last)
        of_day = payments.filter(is_of_day).slice(0, 240).to_pylist()
        bodies = [json.dumps(requested(one)).encode() for one in of_day[::2]]
        # The API decides on every other payment, and the stream adds the others meanwhile.
        streamed = self._in_lake.filter(is_of_day).slice(0, 240).to_pylist()[1::2]
        # Micro-batches, of several callers at once.
        with ThreadPoolExecutor(5) as pool:
            adding = pool.submit(self._add_streamed, streamed)
            list(pool.map(lambda at: service.detect_all(bodies[at::4], "tester"), range(4)))
            adding.result()

    def _add_streamed(self, payments: list[dict[str, Any]]) -> None:
        for first in range(0, len(payments), 5):
            with psycopg.connect(self.settings.warehouse.dsn("api")) as connection:
                add_streamed(connection, "sparkov", payments[first : first + 5], None)

    def arrive(self) -> None:
        """Let the payments of the day arrive in the lake."""
        is_new = pc.equal(self._in_lake["event_date"], self.last)
        rows = whole(self._in_lake.filter(is_new), "processed.transactions")
        self.catalog.load_table("processed.transactions").append(rows)

    def rows(self) -> list[Row]:
        """Return the decisions as they land in Raw."""
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            found = connection.execute("select * from serving.decisions").fetchall()
        return [msgspec.json.decode(encode(canonical(row))) for row in found]

    def replayed(self, rows: list[Row]) -> list[Replayed]:
        return replay(self.dsn, self.catalog, self._load, rows)

    def _load(self, name: str, version: int) -> Champion:
        if version != self.champion.version:
            raise NoChampion(f"{name} has no version {version}")
        return self.champion


@pytest.fixture(scope="module")
def day(postgres: Settings, warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Day:
    settings = postgres.model_copy(update={"warehouse": warehouse.warehouse})
    return Day(settings, tmp_path_factory.mktemp("lake"))


def changed(row: Row, **change: Any) -> Row:
    """Return a decision with changes of its answer."""
    return row | {"answer": json.dumps(json.loads(row["answer"]) | change)}


def outcomes(found: list[Replayed]) -> dict[str, int]:
    return dict(Counter(one.outcome for one in found))


def test_all_decisions_of_a_day_match_also_when_the_lake_has_grown(day: Day) -> None:
    rows = day.rows()
    assert len(rows) == 120
    found = day.replayed(rows)
    assert [one.difference for one in found if one.difference] == []
    assert outcomes(found) == {ReplayOutcome.MATCHED: 120}
    day.arrive()
    assert outcomes(day.replayed(sample(rows, 30))) == {ReplayOutcome.MATCHED: 30}


def test_without_the_payments_of_the_stream_decisions_differ(day: Day) -> None:
    with psycopg.connect(day.dsn) as loader:
        loader.execute("create table serving.kept as select * from serving.streamed_payments")
        loader.execute("delete from serving.streamed_payments")
    try:
        found = outcomes(day.replayed(day.rows()))
    finally:
        with psycopg.connect(day.dsn) as loader:
            loader.execute("insert into serving.streamed_payments select * from serving.kept")
            loader.execute("drop table serving.kept")
    assert found.keys() == {ReplayOutcome.MATCHED, ReplayOutcome.MISMATCHED}


def test_a_sample_is_the_same_each_time(day: Day) -> None:
    rows = day.rows()
    assert sample(rows, 10) == sample(reversed(rows), 10)
    assert len(sample(rows, 10)) == 10


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"risk_score": 0.123}, r"the score was 0\.123 and is 0\."),
        ({"risk_level": "CRITICAL"}, r"the level was critical and is low"),
        (
            {"reason_codes": [{"code": "MADE_UP", "sentence": "No."}]},
            r"the reasons were \['MADE_UP'\] and are \[",
        ),
        ({"features": {}}, r"was None and is"),
    ],
)
def test_a_decision_that_differs_is_named(
    day: Day, change: dict[str, Any], difference: str
) -> None:
    row = next(one for one in day.rows() if one["risk_level"] == "low")
    (found,) = day.replayed([changed(row, **change)])
    assert found.outcome is ReplayOutcome.MISMATCHED
    place = f"position {row['chain_position']}, payment {row['event_id']} of sparkov: "
    assert found.difference.startswith(place)
    assert re.search(difference, found.difference)


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"degraded": True}, ReplayOutcome.DEGRADED),
        ({"rules_version": 9_999}, ReplayOutcome.OTHER_RULES),
        ({"feature_list_version": "0"}, ReplayOutcome.OTHER_FEATURE_LIST),
        ({"model": {"name": "fraud_detector_sparkov", "version": 99}}, ReplayOutcome.NO_MODEL),
        ({"decided_at": "2020-01-01T00:00:00Z"}, ReplayOutcome.NO_FILL),
        ({"duration_ms": 10_000_000.0}, ReplayOutcome.STORE_WAS_FILLED),
    ],
)
def test_a_decision_that_cannot_be_computed_again_has_a_reason(
    day: Day, change: dict[str, Any], outcome: ReplayOutcome
) -> None:
    (found,) = day.replayed([changed(day.rows()[0], **change)])
    assert (found.outcome, found.difference) == (outcome, "")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ("payments_snapshot_id = 1", ReplayOutcome.SNAPSHOT_EXPIRED),
        ("fill_finished_at = null", ReplayOutcome.STORE_WAS_FILLED),
    ],
)
def test_a_fill_that_cannot_be_repeated_is_a_reason(
    day: Day, change: str, outcome: ReplayOutcome
) -> None:
    rows = day.rows()[:2]
    with psycopg.connect(day.dsn) as loader:
        kept = loader.execute("select * from serving.fills").fetchall()
        loader.execute(f"update serving.fills set {change}".encode())
    try:
        assert outcomes(day.replayed(rows)) == {outcome: 2}
    finally:
        with psycopg.connect(day.dsn) as loader:
            loader.execute("delete from serving.fills")
            for row in kept:
                loader.execute("insert into serving.fills values (%s, %s, %s, %s, %s, %s)", row)


def test_a_replay_without_postgres_can_be_repeated(day: Day) -> None:
    nowhere = day.settings.warehouse.model_copy(update={"port": 1}).dsn("loader")
    with pytest.raises(WarehouseLostError, match=r"Postgres was lost while replay\.replay ran"):
        replay(nowhere, day.catalog, day.replayed, [])  # type: ignore[arg-type]
