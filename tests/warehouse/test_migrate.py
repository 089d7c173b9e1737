"""Schemas, grants and tables of STAGING: once or again, each role what it needs and no more."""

from collections.abc import Callable
from datetime import date

import psycopg
import pytest

from contracts.render import to_postgres
from contracts.settings import Settings
from contracts.tables import TABLES
from tests.warehouse.conftest import payment_row
from warehouse import schema_check
from warehouse.migrate import MigrationError, migrate

pytestmark = pytest.mark.postgres
QUARANTINE = TABLES["staging.quarantine"]


def _as(settings: Settings, role: str) -> psycopg.Connection:
    return psycopg.connect(settings.warehouse.dsn(role), autocommit=True)  # type: ignore[arg-type]


def test_every_table_of_staging_exists_with_its_declared_columns(warehouse: Settings) -> None:
    migrate(warehouse)  # again, on top of itself
    with _as(warehouse, "loader") as loader:
        for table in TABLES.values():
            if table.zone == "staging":
                columns = loader.execute(f"select * from {table.name} limit 0".encode())
                assert tuple(c.name for c in columns.description or ()) == table.column_names


def test_the_transformer_reads_staging_and_cannot_write_it(warehouse: Settings) -> None:
    with _as(warehouse, "transformer") as transformer:
        transformer.execute("select * from staging.transactions")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            transformer.execute("delete from staging.run_ledger")


@pytest.mark.parametrize("name", ["staging.transactions", "production_audit.layer_state"])
def test_the_reader_sees_neither_staging_nor_what_waits_for_its_gate(
    warehouse: Settings, name: str
) -> None:
    with (
        _as(warehouse, "reader") as reader,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        reader.execute(f"select * from {name}".encode())


@pytest.mark.parametrize("schema", ["production", "production_as_known"])
def test_the_reader_reads_production_and_cannot_write_it(warehouse: Settings, schema: str) -> None:
    with _as(warehouse, "transformer") as transformer, _as(warehouse, "reader") as reader:
        transformer.execute(f"create table {schema}.shown as select 1 as one".encode())
        try:
            assert reader.execute(f"select one from {schema}.shown".encode()).fetchall() == [(1,)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"delete from {schema}.shown".encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"create table {schema}.mine (one integer)".encode())
        finally:
            transformer.execute(f"drop table {schema}.shown".encode())


def test_the_loader_cannot_touch_production(warehouse: Settings) -> None:
    with (
        _as(warehouse, "loader") as loader,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        loader.execute("create table production.mine (one integer)")


_OLD_QUARANTINE = [
    # a date in the name, a range, no date at all, a date that no calendar has
    ("sparkov/transactions/2024-05-01/0a.parquet", "2024-05-03 01:00+00", "2024-05-01"),
    ("sparkov/transactions/2024-05-01--2024-05-02/0b.csv", "2024-05-03 01:00+00", "2024-05-02"),
    ("sparkov/transactions/whole/0c.csv", "2024-05-04 23:30-02", "2024-05-05"),
    ("sparkov/transactions/2024-02-30/0d.csv", "2024-05-03 01:00+00", "2024-05-03"),
]


def test_a_quarantine_of_an_earlier_version_is_partitioned_and_keeps_its_rows(
    new_warehouse: Callable[[], Settings],
) -> None:
    settings = new_warehouse()
    query = "select raw_object, delivered_date, redrive_count from staging.quarantine order by 1"
    with _as(settings, "loader") as loader, _as(settings, "transformer") as transformer:
        loader.execute("drop table staging.quarantine")
        columns = ", ".join(to_postgres.columns(QUARANTINE).split(", ")[:-1])
        loader.execute(
            f"create table staging.quarantine ({columns}) partition by list (source_system);"
            " create table staging.quarantine_all partition of staging.quarantine"
            " (primary key (raw_object, raw_position)) default".encode()
        )
        for name, landed_at, _ in _OLD_QUARANTINE:
            loader.execute(
                "insert into staging.quarantine values"
                " (%s, 1, 'sparkov', 'e1', 'sparkov@2024-05-01', '{}', '{}', 1, 'USD', %s, 2)",
                (name, landed_at),
            )
        transformer.execute("create view staging.stg as select * from staging.quarantine")

        migrate(settings)
        migrate(settings)

        expected = sorted((name, date.fromisoformat(day), 2) for name, _, day in _OLD_QUARANTINE)
        assert loader.execute(query.encode()).fetchall() == expected
        partitions = loader.execute(
            "select relname from pg_class"
            " where relname like 'quarantine%' and relkind in ('r', 'p') order by 1"
        ).fetchall()
        assert partitions == [
            ("quarantine",),
            *((f"quarantine_p2024050{day}",) for day in (1, 2, 3, 5)),
        ]


def test_parties_of_an_earlier_version_keep_their_rows_without_a_partition(
    new_warehouse: Callable[[], Settings],
) -> None:
    settings = new_warehouse()
    customers, merchants = TABLES["staging.customers"], TABLES["staging.merchants"]
    with _as(settings, "loader") as loader:
        for table in (customers, merchants):
            loader.execute(
                f"drop table {table.name};"
                f" create table {table.name} ({to_postgres.columns(table)})"
                " partition by list (source_system)".encode()
            )
        # What was never loaded has no partition.
        loader.execute(
            "create table staging.customers_all partition of staging.customers"
            " (primary key (source_system, customer_id)) default with (autovacuum_enabled = off);"
            " insert into staging.customers values"
            " ('c', 's', null, null, null, null, now(), now())"
        )

        migrate(settings)
        migrate(settings)

        assert loader.execute("select customer_id from staging.customers").fetchall() == [("c",)]
        assert loader.execute("select count(*) from staging.merchants").fetchone() == (0,)
        found = loader.execute(
            "select c.relname, c.relkind::text, c.reloptions,"
            " (select count(*) from pg_index i where i.indrelid = c.oid and i.indisprimary)"
            " from pg_class c"
            " where c.relname ~ '^(customers|merchants)' and c.relkind in ('r', 'p') order by 1"
        ).fetchall()
        assert found == [("customers", "r", None, 1), ("merchants", "r", None, 1)]


def test_reasons_of_an_earlier_version_become_codes_without_sentences(
    new_warehouse: Callable[[], Settings],
) -> None:
    settings, day = new_warehouse(), date(2024, 5, 1)
    scores, alerts = TABLES["staging.scores"], TABLES["staging.stream_alerts"]
    partition = f"{scores.name}_old partition of {scores.name}"
    with _as(settings, "loader") as loader, _as(settings, "transformer") as transformer:
        bound = to_postgres.partition_bound(day)
        loader.execute(f"create table {partition} {bound}".encode())
        for table in (scores, alerts):
            loader.execute(
                f"alter table {table.name} drop column reason_sentences;"
                f" alter table {table.name} rename column reason_codes to score_reasons".encode()
            )
            for number, reasons in enumerate((["amount", "is_night"], [])):
                row = payment_row(table, day, number + 1)
                row = {**row, "score_reasons": reasons, "decision": "review"}
                del row["reason_codes"], row["reason_sentences"]
                names, values = ", ".join(row), ", ".join(["%s"] * len(row))
                statement = f"insert into {table.name} ({names}) values ({values})"
                loader.execute(statement.encode(), list(row.values()))
        transformer.execute("create view staging.stg as select * from staging.scores")

        migrate(settings)
        migrate(settings)

        for table in (scores, alerts):
            query = f"select reason_codes, reason_sentences from {table.name} order by event_id"
            assert loader.execute(query.encode()).fetchall() == [
                (["AMOUNT", "IS_NIGHT"], []),
                ([], []),
            ]


def test_a_table_that_differs_from_its_declaration_is_named(warehouse: Settings) -> None:
    with _as(warehouse, "loader") as loader:
        loader.execute("alter table staging.labels rename column scenario to story")
        try:
            with pytest.raises(MigrationError, match=r"staging\.labels .*scenario, story"):
                migrate(warehouse)
        finally:
            loader.execute("alter table staging.labels rename column story to scenario")


def _narrow(loader: psycopg.Connection, name: str) -> None:
    columns = ("amount",) if name.endswith("transactions") else ("amount_in", "amount_out")
    for column in columns:
        loader.execute(f"alter table {name} alter column {column} type numeric(18,2)".encode())


def test_amounts_of_an_earlier_version_get_the_decimals_of_every_currency(
    new_warehouse: Callable[[], Settings],
) -> None:
    settings = new_warehouse()
    payments, balances = TABLES["staging.transactions"], TABLES["staging.run_balances"]
    with _as(settings, "loader") as loader, _as(settings, "transformer") as transformer:
        loader.execute(
            "create table staging.transactions_p20240501 partition of staging.transactions"
            " for values from ('2024-05-01') to ('2024-05-02')"
        )
        _narrow(loader, payments.name)
        _narrow(loader, balances.name)
        transformer.execute("create view staging.stg as select amount from staging.transactions")

        migrate(settings)
        migrate(settings)

        for table in (payments, balances):
            assert schema_check.columns(loader, table.name) == to_postgres.signature(table)
        assert transformer.execute("select to_regclass('staging.stg')").fetchone() == (None,)


def test_a_view_of_someone_else_on_amounts_of_an_earlier_version_is_named(
    new_warehouse: Callable[[], Settings],
) -> None:
    settings = new_warehouse()
    with _as(settings, "loader") as loader, _as(settings, "transformer") as transformer:
        _narrow(loader, "staging.transactions")
        transformer.execute("create view production.own as select amount from staging.transactions")

        with pytest.raises(MigrationError, match=r"staging\.transactions .* view production\.own"):
            migrate(settings)
