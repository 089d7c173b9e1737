"""Lake → STAGING: whole, exact, atomic, and safe to run again."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from tenacity import stop_after_attempt

from contracts.features import SOURCE_FEATURES
from contracts.results import ConservationError
from contracts.settings import Settings
from contracts.tables import TABLES, Table, zone
from lake import read as lake_reader
from tests.warehouse.conftest import payment_row
from warehouse import load, load_plan
from warehouse.migrate import RECORDS
from warehouse.partition_exchange import Origin, token

pytestmark = pytest.mark.postgres
_HISTORY = "2024-05-01--2024-05-04"
_DAY = "2024-05-05"


@pytest.fixture
def dsn(warehouse: Settings, loader: psycopg.Connection) -> str:
    return warehouse.warehouse.dsn("loader")


def _rows(connection: psycopg.Connection, name: str) -> list[tuple[Any, ...]]:
    return sorted(connection.execute(f"select * from {name}".encode()).fetchall(), key=repr)


def loaded_tables() -> tuple[Table, ...]:
    """Return the tables of STAGING that loads fill."""
    return tuple(table for table in zone("staging") if table not in RECORDS)


def _everything(connection: psycopg.Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {table.name: _rows(connection, table.name) for table in loaded_tables()}


def _shadow_tables(connection: psycopg.Connection) -> list[Any]:
    return connection.execute(
        "select relname from pg_class where relname ~ '__[0-9a-f]{8}$'"
        " and relnamespace = 'staging'::regnamespace and relkind in ('r', 'p')"
    ).fetchall()


def test_a_window_is_loaded_with_every_value_unchanged(
    lake: Any, dsn: str, loader: psycopg.Connection
) -> None:
    processed, prepared = lake.publish(_HISTORY)
    staged = load.stage(lake.catalog, dsn, processed, prepared, "load 1")
    assert all(not rows for rows in _everything(loader).values())
    assert [t.differences for t in staged.tables.values()] == [()] * 6
    assert load.swap(dsn, staged).check() == staged
    for name, source in load_plan.SOURCES.items():
        columns = TABLES[name].column_names
        expected = lake_reader.read_dates(lake.catalog, source, None, None, columns=columns)
        assert _rows(loader, name) == sorted(
            (tuple(row.values()) for row in expected.read_all().to_pylist()), key=repr
        )
    assert not _shadow_tables(loader)


def test_the_balance_is_the_money_of_each_currency(lake: Any, dsn: str) -> None:
    processed, prepared = lake.publish(_DAY)
    staged = load.stage(lake.catalog, dsn, processed, prepared, "load 1")
    euros, dollars = staged.balances
    assert (euros.currency, euros.rows_in, euros.rows_out) == ("EUR", 3, 3)
    assert euros.amount_in == euros.amount_out == Decimal("13.11")  # 0.37 + 4.37 + 8.37
    assert (dollars.currency, dollars.rows_in, dollars.amount_out) == ("USD", 9, Decimal("57.33"))


def test_swapping_twice_changes_nothing(lake: Any, dsn: str, loader: psycopg.Connection) -> None:
    staged = load.stage(lake.catalog, dsn, *lake.publish(_HISTORY), "load 1")
    load.swap(dsn, staged)
    before = _everything(loader)
    load.swap(dsn, staged)
    assert _everything(loader) == before


def test_a_day_replaces_that_day_only(lake: Any, dsn: str, loader: psycopg.Connection) -> None:
    load.swap(dsn, load.stage(lake.catalog, dsn, *lake.publish(_HISTORY), "load 1"))
    oids = "select relname, oid from pg_class where relname like 'transactions_p%'"
    before = dict(loader.execute(oids).fetchall())
    late = lake.publish("2024-05-02", {date(2024, 5, 2): 15})
    load.swap(dsn, load.stage(lake.catalog, dsn, *late, "load 2"))
    after = dict(loader.execute(oids).fetchall())
    changed = {name for name in after if before.get(name) != after[name]} - {
        name for name in after if "pkey" in name
    }
    assert changed == {"transactions_p20240502"}
    count = "select count(*) from staging.transactions where event_date = '2024-05-02'"
    assert loader.execute(count).fetchone() == (15,)


def test_a_reader_never_sees_half_a_swap(lake: Any, dsn: str, loader: psycopg.Connection) -> None:
    load.swap(dsn, load.stage(lake.catalog, dsn, *lake.publish(_HISTORY), "load 1"))
    bigger = lake.publish(_HISTORY, {day: 30 for _, day in lake.rows})
    staged = load.stage(lake.catalog, dsn, *bigger, "load 2")
    seen: set[Any] = set()
    stop = threading.Event()

    def read() -> None:
        query = (
            "select (select count(*) from staging.transactions),"
            " (select count(*) from staging.labels), (select count(*) from staging.features)"
        )
        with psycopg.connect(dsn, autocommit=True) as reader:
            while not stop.is_set():
                seen.add(reader.execute(query).fetchone())

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            load.swap(dsn, staged)
        finally:
            stop.set()
        reading.result()
    assert seen <= {(48, 48, 48), (120, 120, 120)}
    assert loader.execute("select count(*) from staging.transactions").fetchone() == (120,)


def test_a_swap_is_retried_while_a_reader_locks_its_table(
    lake: Any, dsn: str, loader: psycopg.Connection
) -> None:
    staged = load.stage(lake.catalog, dsn, *lake.publish(_DAY), "load 1")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(dsn) as reader:
        reader.execute("select count(*) from staging.transactions")
        swapping = pool.submit(load.swap, dsn, staged)
        # After `deadlock_timeout`, so that Postgres would end the reader and not the swap.
        assert not wait([swapping], timeout=1.5).done
        for table in ("features", "labels", "merchants", "quarantine"):
            query = f"select count(*) from staging.{table}"
            assert reader.execute(query.encode()).fetchone() == (0,)
        reader.commit()
        assert swapping.result() == staged
    assert loader.execute("select count(*) from staging.labels").fetchone() == (12,)


def test_a_lasting_reader_lock_is_an_error_that_changes_nothing(
    lake: Any, dsn: str, loader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load.swap.retry, "stop", stop_after_attempt(2))  # type: ignore[attr-defined]
    staged = load.stage(lake.catalog, dsn, *lake.publish(_DAY), "load 1")
    with psycopg.connect(dsn) as reader:
        reader.execute("select count(*) from staging.transactions")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            load.swap(dsn, staged)
    assert loader.execute("select count(*) from staging.labels").fetchone() == (0,)
    load.swap(dsn, staged)
    assert loader.execute("select count(*) from staging.labels").fetchone() == (12,)


def test_an_older_snapshot_does_not_replace_a_newer_one(
    lake: Any, dsn: str, loader: psycopg.Connection
) -> None:
    old = lake.publish(_DAY)
    new = lake.publish(_DAY, {date(2024, 5, 5): 20})
    first = load.stage(lake.catalog, dsn, *old, "load old")
    load.swap(dsn, load.stage(lake.catalog, dsn, *new, "load new"))
    after = _everything(loader)
    load.swap(dsn, first)
    assert _everything(loader) == after
    assert not _shadow_tables(loader)


def test_two_concurrent_loads_of_a_window_give_one_result(
    lake: Any, dsn: str, loader: psycopg.Connection
) -> None:
    processed, prepared = lake.publish(_HISTORY)
    problems: list[BaseException] = []

    def run(run_id: str) -> None:
        try:
            load.swap(dsn, load.stage(lake.catalog, dsn, processed, prepared, run_id))
        except BaseException as error:
            problems.append(error)

    runs = [threading.Thread(target=run, args=(name,)) for name in ("one", "two", "one")]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    # The other attempt of the same run may have attached the table already.
    assert [e for e in problems if not isinstance(e, load.LoadError)] == []
    assert loader.execute("select count(*) from staging.transactions").fetchone() == (48,)
    assert not _shadow_tables(loader)


def test_a_connection_lost_while_copying_leaves_nothing_and_the_next_run_finishes(
    lake: Any, dsn: str, loader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    load.swap(dsn, load.stage(lake.catalog, dsn, *lake.publish(_HISTORY), "load 1"))
    before = _everything(loader)
    processed, prepared = lake.publish(_DAY)
    read = lake_reader.read_dates

    def cut_off(catalog: Any, name: str, *rest: Any, **given: Any) -> pa.RecordBatchReader:
        reader = read(catalog, name, *rest, **given)

        def batches() -> Any:
            for batch in reader:
                if name == "processed.labels":
                    loader.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where datname = current_database() and pid <> pg_backend_pid()"
                    )
                yield batch

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    with monkeypatch.context() as patch:
        patch.setattr(lake_reader, "read_dates", cut_off)
        with pytest.raises(Exception, match=r"terminat|closed|lost|COPY"):
            load.stage(lake.catalog, dsn, processed, prepared, "load 2")
    assert _everything(loader) == before
    assert not _shadow_tables(loader)
    load.swap(dsn, load.stage(lake.catalog, dsn, processed, prepared, "load 2"))
    assert loader.execute("select count(*) from staging.transactions").fetchone() == (60,)


@pytest.mark.parametrize(
    "tamper",
    [
        "delete from {} where event_id = '2024-05-05/3'",
        "update {} set amount = amount + 0.01 where event_id = '2024-05-05/3'",
        "update {} set region = null where event_id = '2024-05-05/4'",
    ],
)
def test_a_staged_table_that_differs_from_the_lake_is_never_attached(
    lake: Any, dsn: str, loader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, tamper: str
) -> None:
    load.swap(dsn, load.stage(lake.catalog, dsn, *lake.publish(_HISTORY), "load 1"))
    before = _everything(loader)
    seal = load.partition_exchange.seal
    shadow = f"staging.transactions__{token('load 2')}"

    def tampered(table: Any, *rest: Any) -> list[str]:
        extra = [tamper.format(shadow)] if table.short_name == "transactions" else []
        return [*extra, *seal(table, *rest)]

    monkeypatch.setattr(load.partition_exchange, "seal", tampered)
    staged = load.stage(lake.catalog, dsn, *lake.publish(_DAY), "load 2")
    assert staged.tables["staging.transactions"].differences
    with pytest.raises((ConservationError, load.LoadError)):
        load.swap(dsn, staged)
    assert _everything(loader) == before
    load.discard(dsn, staged)
    assert not _shadow_tables(loader)
    assert _everything(loader) == before


def test_a_key_twice_in_the_lake_is_refused_before_anything_changes(
    lake: Any, dsn: str, loader: psycopg.Connection
) -> None:
    processed, prepared = lake.publish(_DAY, event_id="the same")
    with pytest.raises(Exception, match="could not create unique index"):
        load.stage(lake.catalog, dsn, processed, prepared, "load 1")
    assert not _shadow_tables(loader)


def test_a_day_without_rows_is_loaded(lake: Any, dsn: str, loader: psycopg.Connection) -> None:
    staged = load.stage(lake.catalog, dsn, *lake.publish(_DAY, {date(2024, 5, 4): 4}), "load 1")
    load.swap(dsn, staged)
    assert loader.execute("select count(*) from staging.transactions").fetchone() == (0,)
    assert staged.balances == ()


def test_a_window_with_only_repeats_touches_no_day(
    lake: Any, dsn: str, loader: psycopg.Connection
) -> None:
    processed, prepared = lake.publish(_DAY)
    staged = load.stage(
        lake.catalog, dsn, replace(processed, dates=()), replace(prepared, dates=()), "load 1"
    )
    load.swap(dsn, staged)
    assert loader.execute("select count(*) from staging.transactions").fetchone() == (0,)
    assert loader.execute("select count(*) from staging.customers").fetchone() == (0,)


def test_a_load_copies_the_parties_of_its_days_and_keeps_the_others(
    lake: Any, dsn: str, loader: psycopg.Connection
) -> None:
    table, day = TABLES["processed.customers"], date(2024, 5, 1)
    load.swap(dsn, load.stage(lake.catalog, dsn, *lake.publish(_HISTORY), "load 1"))
    # Of 200 customers in the lake, two pay on the day.
    last = {"customer 1": 5, "new": 5}
    names = [f"old {number}" for number in range(198)]
    rows = [
        payment_row(
            table,
            day,
            1,
            customer_id=name,
            region="moved" if name in last else "same",
            last_event_at=datetime(2024, 5, last.get(name, 1), 23, 30, tzinfo=UTC),
        )
        for name in (*names, *last)
    ]
    processed, prepared = lake.publish(_DAY)
    snapshots = {**processed.snapshots, table.name: lake.write(table.name, rows)}

    staged = load.stage(
        lake.catalog, dsn, replace(processed, snapshots=snapshots), prepared, "load 2"
    )

    assert staged.tables["staging.customers"].rows == 2
    load.swap(dsn, staged)
    query = "select customer_id, region from staging.customers order by 1"
    assert dict(loader.execute(query).fetchall()) == {
        **{f"customer {number}": "text" for number in (0, 2, 3, 4)},
        **dict.fromkeys(last, "moved"),
    }


def test_a_snapshot_that_is_gone_is_named(lake: Any, dsn: str) -> None:
    processed, prepared = lake.publish(_DAY)
    gone = replace(processed, snapshots={**processed.snapshots, "processed.labels": 7})
    with pytest.raises(lake_reader.SnapshotMissing, match=r"processed\.labels has no snapshot 7"):
        load.stage(lake.catalog, dsn, gone, prepared, "load 1")


def test_a_window_without_its_snapshots_is_refused(lake: Any, dsn: str) -> None:
    processed, prepared = lake.publish(_DAY)
    with pytest.raises(load.LoadError, match=r"no snapshot of sandbox\.features"):
        load.stage(lake.catalog, dsn, processed, replace(prepared, snapshots={}), "load 1")


def test_a_load_copies_and_replaces_the_quarantine_of_its_deliveries_alone(
    lake: Any, dsn: str, loader: psycopg.Connection
) -> None:
    table = TABLES["processed.quarantine"]
    first, second = date(2024, 5, 1), date(2024, 5, 2)
    lake.refused = [payment_row(table, day, n) for day in (first, second) for n in range(3)]
    load.swap(dsn, load.stage(lake.catalog, dsn, *lake.publish(_HISTORY), "load 1"))
    lake.refused = lake.refused[:4]
    processed, prepared = lake.publish(_DAY)
    only = replace(processed, delivered_dates=(second,))

    staged = load.stage(lake.catalog, dsn, only, prepared, "load 2")

    assert staged.tables["staging.quarantine"].rows == 1
    load.swap(dsn, staged)
    query = "select delivered_date, count(*) from staging.quarantine group by 1 order by 1"
    assert loader.execute(query).fetchall() == [(first, 3), (second, 1)]


def test_features_are_loaded_with_the_payments_they_were_made_from(lake: Any, dsn: str) -> None:
    processed, _ = lake.publish(_DAY)
    later, prepared = lake.publish(_DAY, {date(2024, 5, 5): 15})
    made_from = replace(prepared, snapshots={**later.snapshots, **prepared.snapshots})
    staged = load.stage(lake.catalog, dsn, processed, made_from, "load 1")
    assert staged.snapshots == made_from.snapshots
    assert staged.tables["staging.transactions"].rows == 15
    load.discard(dsn, staged)


def test_the_shadow_table_of_an_abandoned_run_is_dropped(
    lake: Any, dsn: str, loader: psycopg.Connection
) -> None:
    processed, prepared = lake.publish(_DAY)
    load.stage(lake.catalog, dsn, processed, prepared, "died")
    long_ago = Origin("x", 1, 1, "2024-01-01T00:00:00Z").comment()
    # One of its six only: the others stay as young as they are.
    comment = f"comment on table staging.labels__{token('died')} is '{long_ago}'"
    loader.execute(comment.encode())
    load.swap(dsn, load.stage(lake.catalog, dsn, processed, prepared, "living"))
    left = {name for (name,) in _shadow_tables(loader)}
    assert f"labels__{token('died')}" not in left
    assert f"transactions__{token('died')}" in left


def test_every_lake_table_of_staging_has_its_source() -> None:
    copied: set[str] = {t.name for t in loaded_tables()} - {"staging.scores"}
    assert set(load_plan.SOURCES) == copied
    check: Callable[[str], Any] = TABLES.__getitem__
    for target, source in load_plan.SOURCES.items():
        in_lake = [name for name in check(source).column_names if name != SOURCE_FEATURES]
        assert list(check(target).column_names) == in_lake
