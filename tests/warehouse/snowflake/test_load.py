"""A load into Snowflake keeps the promises of a load into Postgres."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from contracts.render import to_arrow, to_snowflake
from contracts.results import ConservationError
from contracts.settings import Settings
from contracts.stage_results import LoadResult, ScoreResult
from contracts.tables import TABLES
from lake import read as lake_reader
from tests.stage_results import result_of
from tests.warehouse.conftest import payment_row
from tests.warehouse.test_merge_by_key import MERCHANTS, VERSIONS, rows_of
from warehouse import load_plan
from warehouse.merge_by_key import merge
from warehouse.partition_exchange import token
from warehouse.snowflake import files, load
from warehouse.snowflake.migrate import ORIGINS, migrate
from warehouse.snowflake.session import connect

pytestmark = pytest.mark.postgres
_HISTORY = "2024-05-01--2024-05-04"
_DAY = "2024-05-05"
_SCORES = TABLES["staging.scores"]
_DRIFT = TABLES["staging.feature_drift"]
_TWINS = (
    "select table_name from information_schema.tables"
    " where table_schema = 'STAGING' and contains(table_name, '__')"
)


@pytest.fixture(scope="module")
def migrated(warehouse: Settings, on_snowflake: Callable[[Settings], Settings]) -> Settings:
    """A database on Snowflake that the tests of a module share."""
    return on_snowflake(warehouse)


@pytest.fixture
def where(migrated: Settings) -> Settings:
    """An emptied STAGING on Snowflake."""
    with connect(migrated, "loader") as session:
        for (name,) in session.rows(_TWINS):
            session.run(f"drop table staging.{name}")
        for name in (ORIGINS, *(table.name for table in load.LOADED)):
            session.run(f"delete from {name}")
    return migrated


def _rows(where: Settings, query: str) -> list[tuple[Any, ...]]:
    with connect(where, "loader") as session:
        return session.rows(query)


def _count(where: Settings, table: str = "transactions") -> int:
    return int(_rows(where, f"select count(*) from staging.{table}")[0][0])


def _shadow_tables(where: Settings) -> list[Any]:
    return _rows(where, _TWINS)


def _staged(lake: Any, where: Settings, window: str, run: str, *args: Any) -> LoadResult:
    return load.stage(lake.catalog, where, *lake.publish(window, *args), run)


def test_a_window_is_loaded_with_every_value_unchanged(
    lake: Any, where: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_FILE_BYTES", 1)  # a file a batch
    staged = _staged(lake, where, _HISTORY, "load 1")
    assert _count(where) == 0
    assert [t.differences for t in staged.tables.values()] == [()] * 6
    assert load.swap(where, staged).check() == staged
    for name, source in load_plan.SOURCES.items():
        table = TABLES[name]
        found = _rows(where, f"select {', '.join(table.column_names)} from {name}")
        columns = table.column_names
        expected = lake_reader.read_dates(lake.catalog, source, None, None, columns=columns)
        arrays = [n for n, c in enumerate(table.columns) if c.type.value.startswith("array")]
        assert sorted(found, key=repr) == sorted(
            (_with_json(tuple(row.values()), arrays) for row in expected.read_all().to_pylist()),
            key=repr,
        )
    assert not _shadow_tables(where)


def test_parties_are_those_of_the_payments_that_remain(lake: Any, where: Settings) -> None:
    load.swap(where, _staged(lake, where, _HISTORY, "load 1"))

    def reload(window: str, days: Sequence[date]) -> list[tuple[Any, ...]]:
        """Load a window in which one payment a day remains; return customers and last payments."""
        processed, prepared = lake.publish(window, dict.fromkeys(days, 1))
        processed = replace(processed, withdrawn=11 * len(days))
        load.swap(where, load.stage(lake.catalog, where, processed, prepared, f"again {window}"))
        return _rows(where, "select customer_id, last_event_at from staging.customers order by 1")

    days = [date(2024, 5, day) for day in range(1, 5)]
    first, second, *others = reload("2024-05-04", days[3:])
    assert first == ("customer 0", datetime(2024, 5, 4, 12, 0, tzinfo=UTC))
    assert second == ("customer 1", datetime(2024, 5, 3, 12, 11, tzinfo=UTC))
    assert len(others) == 3
    assert reload(_HISTORY, days) == [first]
    merchants = _rows(where, "select counterparty_id from staging.merchants")
    assert merchants == [("merchant 0",)]


def _with_json(row: tuple[Any, ...], places: list[int]) -> tuple[Any, ...]:
    """Return a row with its arrays as the text that the client gets of them."""
    texts = (
        "[" + ",".join(f'"{entry}"' for entry in value) + "]"
        if place in places and value is not None
        else value
        for place, value in enumerate(row)
    )
    return tuple(texts)


def test_swapping_twice_changes_nothing_and_a_day_replaces_that_day(
    lake: Any, where: Settings
) -> None:
    staged = _staged(lake, where, _HISTORY, "load 1")
    load.swap(where, staged)
    load.swap(where, staged)
    assert _count(where) == 48
    load.swap(where, _staged(lake, where, "2024-05-02", "load 2", {date(2024, 5, 2): 15}))
    by_day = _rows(
        where, "select event_date, count(*) from staging.transactions group by 1 order by 1"
    )
    assert [count for _, count in by_day] == [12, 15, 12, 12]
    runs = _rows(
        where, f"select day, run from {ORIGINS} where table_name = 'staging.features' order by 1"
    )
    assert [run for _, run in runs] == [
        token("load 1"),
        token("load 2"),
        token("load 1"),
        token("load 1"),
    ]


def test_an_older_snapshot_does_not_replace_a_newer_one(lake: Any, where: Settings) -> None:
    old = lake.publish(_DAY)
    new = lake.publish(_DAY, {date(2024, 5, 5): 20})
    first = load.stage(lake.catalog, where, *old, "load old")
    load.swap(where, load.stage(lake.catalog, where, *new, "load new"))
    load.swap(where, first)
    assert _count(where) == 20
    assert not _shadow_tables(where)
    load.swap(where, first)


def test_a_load_that_was_not_staged_is_not_swapped(lake: Any, where: Settings) -> None:
    staged = _staged(lake, where, _DAY, "load 1")
    with connect(where, "loader") as session:
        for name in staged.beside.values():
            session.run(f"drop table {name}")
    with pytest.raises(load_plan.LoadError, match="was not staged by run load 1"):
        load.swap(where, staged)


def test_a_swap_that_fails_midway_changes_nothing(
    lake: Any, where: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load.swap(where, _staged(lake, where, _DAY, "load 1"))
    before = _rows(where, f"select * from {ORIGINS} order by 1, 2")
    staged = _staged(lake, where, _DAY, "load 2", {date(2024, 5, 5): 20})
    take = load._take

    def broken(session: Any, table: Any, *rest: Any) -> None:
        if table.short_name == "transactions":
            raise ConnectionError("lost")
        take(session, table, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(load, "_take", broken)
        with pytest.raises(ConnectionError, match="lost"):
            load.swap(where, staged)
    assert (_count(where), _count(where, "features")) == (12, 12)
    assert _rows(where, f"select * from {ORIGINS} order by 1, 2") == before
    load.swap(where, staged)
    assert (_count(where), _count(where, "features")) == (20, 20)


@pytest.mark.parametrize(
    "tamper",
    [
        "delete from {} where event_id = '2024-05-05/3'",
        "update {} set amount = amount + 0.01 where event_id = '2024-05-05/3'",
        "update {} set region = null where event_id = '2024-05-05/4'",
    ],
)
def test_a_staged_table_that_differs_from_the_lake_is_not_inserted(
    lake: Any, where: Settings, monkeypatch: pytest.MonkeyPatch, tamper: str
) -> None:
    fill = load.fill

    def tampered(session: Any, table: Any, name: str, rows: Any) -> None:
        fill(session, table, name, rows)
        if table.short_name == "transactions":
            session.run(tamper.format(name))

    monkeypatch.setattr(load, "fill", tampered)
    staged = _staged(lake, where, _DAY, "load 1")
    with pytest.raises((ConservationError, load_plan.LoadError)):
        load.swap(where, staged)
    assert _count(where) == 0


def test_a_key_twice_in_the_lake_is_refused(lake: Any, where: Settings) -> None:
    processed, prepared = lake.publish(_DAY, event_id="the same")
    with pytest.raises(load_plan.LoadError, match=r"staging\.\w+ has a key twice .*the same"):
        load.stage(lake.catalog, where, processed, prepared, "load 1")


def test_a_window_with_only_repeats_touches_no_day(lake: Any, where: Settings) -> None:
    processed, prepared = lake.publish(_DAY)
    no_dates = (replace(processed, dates=()), replace(prepared, dates=()))
    load.swap(where, load.stage(lake.catalog, where, *no_dates, "load 1"))
    assert (_count(where), _count(where, "customers")) == (0, 0)


def test_scores_are_added_once_and_drift_is_the_latest(where: Settings, payment_rows: Any) -> None:
    days = (date(2024, 5, 1), date(2024, 5, 1) + timedelta(days=1))
    scored = result_of(ScoreResult, "sparkov@2024-05-01--2024-05-02", "one", dates=days)

    def tables(score: float, index: float) -> tuple[pa.Table, pa.Table]:
        scores = payment_rows(_SCORES, days, 5, model_version=1, score=score)
        drift = payment_rows(_DRIFT, days, 1, model_version=1, stability_index=index)
        return (
            pa.Table.from_pylist(scores, to_arrow.schema(_SCORES)),
            pa.Table.from_pylist(drift, to_arrow.schema(_DRIFT)),
        )

    first = load.stage_scores(where, scored, *tables(0.5, 0.1))
    assert _count(where, "scores") == 0
    assert load.swap_scores(where, first) == 10
    assert load.swap_scores(where, first) == 0
    later = load.stage_scores(where, replace(scored, run_id="two"), *tables(0.9, 0.2))
    assert load.swap_scores(where, later) == 0
    assert _rows(where, "select distinct score from staging.scores") == [(0.5,)]
    assert _rows(where, "select distinct stability_index from staging.feature_drift") == [(0.2,)]


def test_migrating_again_changes_nothing(lake: Any, where: Settings) -> None:
    load.swap(where, _staged(lake, where, _DAY, "load 1"))
    migrate(where)
    assert _count(where) == 12


def test_a_quarantine_of_an_earlier_version_gets_its_dates_of_delivery(where: Settings) -> None:
    row = payment_row(TABLES["staging.quarantine"], date(2024, 5, 7), 1)
    names = {
        "sparkov/transactions/2024-05-01/0a.parquet": "2024-05-01",
        "sparkov/transactions/whole/0b.csv": "2024-05-07",
    }
    with connect(where, "loader") as session:
        session.run("alter table staging.quarantine drop column delivered_date")
        for name in names:
            session.run(
                "insert into staging.quarantine (raw_object, raw_position, source_system,"
                " window_key, reasons, rules, first_seen_at, redrive_count)"
                f" select '{name}', 1, 'sparkov', 'w', array_construct(), array_construct(),"
                f" '{row['first_seen_at']}', 0"
            )
        migrate(where)
        migrate(where)
        found = session.rows("select raw_object, delivered_date::text from staging.quarantine")
    assert dict(found) == names


def test_reasons_of_an_earlier_version_become_codes_without_sentences(where: Settings) -> None:
    with connect(where, "loader") as session:
        session.run("alter table staging.scores drop column reason_sentences")
        session.run("alter table staging.scores rename column reason_codes to score_reasons")
        for number, reasons in enumerate(("'amount', 'is_night'", "")):
            row = payment_row(_SCORES, date(2024, 5, 7), number)
            del row["reason_codes"], row["reason_sentences"]
            values = ", ".join(f"'{value}'" for value in row.values())
            session.run(
                f"insert into staging.scores ({', '.join(row)}, score_reasons)"
                f" select {values}, array_construct({reasons})"
            )
        migrate(where)
        migrate(where)
        found = session.rows(
            "select reason_codes, reason_sentences from staging.scores order by event_id"
        )
        session.run("delete from staging.scores")
    assert [tuple(map(json.loads, row)) for row in found] == [
        (["AMOUNT", "IS_NIGHT"], []),
        ([], []),
    ]


def test_amounts_of_an_earlier_version_are_refused_with_the_remedy(where: Settings) -> None:
    narrow = to_snowflake.columns(TABLES["staging.transactions"]).replace("(20,4)", "(18,2)")
    with connect(where, "loader") as session:
        session.run(f"create or replace table staging.transactions ({narrow})")

        with pytest.raises(
            RuntimeError, match=r"amounts of transactions .* load the windows again"
        ):
            migrate(where)
        session.run("drop table staging.transactions")
    migrate(where)


def test_the_last_version_of_a_party_wins_in_any_order(where: Settings) -> None:
    names = ", ".join(MERCHANTS.column_names)
    with connect(where, "loader") as session:
        session.run(f"create table staging.given ({to_snowflake.columns(MERCHANTS)})")
        for order in (VERSIONS, VERSIONS[::-1], [*VERSIONS[2:], *VERSIONS[:2]]):
            session.run("delete from staging.merchants")
            for version in order:
                row = rows_of(version)
                values = ", ".join(
                    "null" if row[name] is None else f"'{row[name]}'"
                    for name in MERCHANTS.column_names
                )
                session.run("delete from staging.given")
                session.run(f"insert into staging.given ({names}) values ({values})")
                for statement in merge(MERCHANTS, "staging.given"):
                    session.run(statement)
            found = session.rows(
                "select merchant_category, first_event_at::date::text, last_event_at::date::text"
                " from staging.merchants"
            )
            assert found == [(None, "2024-05-01", "2024-05-03")]
        session.run("drop table staging.given")
