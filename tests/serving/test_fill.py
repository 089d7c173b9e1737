"""The online store after a fill from the lake, and who may do what in it."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.transforms import IdentityTransform

from contracts.render import to_arrow
from contracts.settings import Settings
from contracts.tables import TABLES
from serving.fill import KEPT_DAYS, fill, main
from serving.redis_store import OnlineStoreError, redis_store
from serving.store import Payment
from tests.serving.redis_server import RedisServer
from tests.serving.sample import lake
from tests.serving.stores import Store
from warehouse.errors import WarehouseLostError

pytestmark = pytest.mark.postgres


def whole(rows: pa.Table, table: str) -> pa.Table:
    """Return rows with all columns of a lake table, the others with any value."""
    fillers: dict[pa.DataType, Any] = {pa.string(): "x", pa.int64(): 0, pa.int32(): 1}
    columns = {}
    for field in to_arrow.schema(TABLES[table]):
        if field.name in rows.column_names:
            columns[field.name] = rows[field.name].cast(field.type)
        elif field.nullable:
            columns[field.name] = pa.nulls(rows.num_rows, field.type)
        elif field.type in fillers:
            columns[field.name] = pa.repeat(pa.scalar(fillers[field.type]), rows.num_rows)
        else:
            columns[field.name] = rows["event_at"].cast(field.type)
    return pa.table(columns, to_arrow.schema(TABLES[table]))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("lake")
    made = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
    made.create_namespace("processed")
    payments, labels = lake()
    dates = payments.select(["event_id", "event_date", "event_at"])
    labels = labels.join(dates, "event_id")
    for table, rows in (("processed.transactions", payments), ("processed.labels", labels)):
        created = made.create_table(table, to_arrow.schema(TABLES[table]))
        with created.update_spec() as update:
            update.add_field("event_date", IdentityTransform())
        created.append(whole(rows, table))
    return made


def later_of_all(payments: pa.Table) -> list[Payment]:
    """Return a payment of each customer and each merchant a day after all others."""
    last = payments.slice(payments.num_rows - 1).to_pylist()[0]
    at = {"event_id": "asked", "event_at": last["event_at"] + timedelta(1)}
    customers = [{"customer_id": one} for one in payments["customer_id"].unique().to_pylist()]
    parties = payments["counterparty_id"].unique().to_pylist()
    return [last | at | one for one in [*customers, *({"counterparty_id": m} for m in parties)]]


def test_a_fill_replaces_what_the_lake_has_and_keeps_what_was_added_later(
    catalog: Catalog, store: Store
) -> None:
    payments, labels = lake()
    last = payments["event_date"][-1].as_py()
    payment = payments.slice(payments.num_rows - 1, 1).to_pylist()[0]
    withdrawn = payment | {"event_id": "withdrawn"}
    later = payment | {"event_id": "later", "event_date": last + timedelta(1)}
    dsn = store.settings.warehouse.dsn("loader")
    fill(catalog, dsn, "sparkov", until=last - timedelta(1), redis=store.redis)
    store.decide([withdrawn, later, payment])
    old = payment | {"event_id": "old", "event_date": last - timedelta(KEPT_DAYS)}
    streamed = [withdrawn | {"event_id": "withdrawn too"}, later | {"event_id": "streamed"}]
    store.stream([old, *streamed])
    added = {"withdrawn", "withdrawn too", "later", "streamed"}
    assert added <= {one["event_id"] for one in store.events([later])}

    done = fill(catalog, dsn, "sparkov", redis=store.redis)
    assert (done.first_date, done.last_date) == (last - timedelta(KEPT_DAYS - 1), last)
    kept = payments.filter(pc.greater_equal(payments["event_date"], done.first_date))
    assert done.payments == kept.num_rows
    asked = later_of_all(kept)
    rows = store.events(asked)
    # What no feature of a day later reads is in the store for payments that arrive late.
    is_read = pc.greater(kept["event_at"], pa.scalar(asked[0]["event_at"] - timedelta(37)))
    assert {row["event_id"] for row in rows} == {
        *kept.filter(is_read)["event_id"].to_pylist(),
        "later",
        "streamed",
    }
    with psycopg.connect(dsn) as loader:
        query = "select event_id from serving.streamed_payments order by event_id"
        assert loader.execute(query).fetchall() == [("streamed",), ("withdrawn too",)]
    frauds = set(labels.filter(labels["is_fraud"])["event_id"].to_pylist())
    known = {row["event_id"] for row in rows if row["fraud_known_at"] is not None}
    assert known == frauds & {row["event_id"] for row in rows} != set()
    categories = payments["merchant_category"].unique().to_pylist()
    with store.opened() as opened:
        counts = opened.category_counts([payment | {"merchant_category": c} for c in categories])
    recent = pc.greater_equal(kept["event_date"], last - timedelta(38))
    assert pc.sum(counts["payments"]).as_py() == pc.sum(recent).as_py()

    assert fill(catalog, dsn, "sparkov", redis=store.redis) == done
    assert store.events(asked) == rows


def test_a_fill_of_a_source_without_payments_says_what_to_do(
    catalog: Catalog, warehouse: Settings
) -> None:
    with pytest.raises(LookupError, match=r"no row of handbook yet: run land_transactions"):
        fill(catalog, warehouse.warehouse.dsn("loader"), "handbook")


def test_a_fill_without_postgres_can_be_retried(catalog: Catalog, warehouse: Settings) -> None:
    nowhere = warehouse.warehouse.model_copy(update={"port": 1}).dsn("loader")
    with pytest.raises(WarehouseLostError, match=r"Postgres was lost while fill\.fill ran"):
        fill(catalog, nowhere, "sparkov")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"store_url": "redis://127.0.0.1:1"}, "Redis does not answer"),
        ({"store_password": "wrong"}, "refuses the password: set TOLLGATE_API__STORE_PASSWORD"),
    ],
)
def test_a_fill_without_redis_says_what_to_do(
    catalog: Catalog,
    warehouse: Settings,
    redis_server: RedisServer,
    change: dict[str, str],
    reason: str,
) -> None:
    nowhere = redis_store(redis_server.settings(warehouse, **change).api, 1)
    with pytest.raises(OnlineStoreError, match=reason):
        fill(catalog, warehouse.warehouse.dsn("loader"), "sparkov", redis=nowhere)


@pytest.mark.airflow
@pytest.mark.parametrize(("key", "source"), [("sparkov@2024-06-25", "handbook"), (None, "sparkov")])
def test_the_dag_fills_the_source_of_its_window_or_parameter(
    catalog: Catalog,
    warehouse: Settings,
    monkeypatch: pytest.MonkeyPatch,
    key: str | None,
    source: str,
) -> None:
    from tollgate_airflow.stages import online_store as stage

    monkeypatch.setattr("lake.catalog.open_catalog", lambda _: catalog)
    monkeypatch.setattr(stage.connections, "warehouse", warehouse.warehouse.dsn)
    # Its guard would ask Airflow for the task that runs.
    work = stage.fill.__wrapped__
    context = {"dag_run": SimpleNamespace(partition_key=key), "params": {"source": source}}
    assert work(context).startswith("sparkov: ")


def test_the_command_says_what_the_store_has(
    postgres: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main() == 0
    assert capsys.readouterr().out.startswith("online store  ")


@pytest.mark.parametrize(
    "statement",
    [
        "delete from serving.recent_payments",
        "update serving.recent_payments set amount = 0",
        "update serving.decisions set score = 0",
        "delete from serving.decisions",
        "update serving.users set user_role = 'admin'",
        "insert into serving.category_counts values ('s', 'c', 1, 1, 1)",
        "create table serving.mine (x integer)",
        "select * from staging.transactions",
    ],
)
def test_the_api_changes_no_row_and_reads_no_other_schema(
    warehouse: Settings, statement: str
) -> None:
    with (
        psycopg.connect(warehouse.warehouse.dsn("api")) as api,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        api.execute(statement.encode())
