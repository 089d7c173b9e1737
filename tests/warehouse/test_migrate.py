"""Schemas, grants and tables of STAGING: once or again, each role what it needs and no more."""

import psycopg
import pytest

from contracts.settings import Settings
from contracts.tables import TABLES
from warehouse.migrate import MigrationError, migrate

pytestmark = pytest.mark.postgres


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


def test_a_table_that_differs_from_its_declaration_is_named(warehouse: Settings) -> None:
    with _as(warehouse, "loader") as loader:
        loader.execute("alter table staging.labels rename column scenario to story")
        try:
            with pytest.raises(MigrationError, match=r"staging\.labels .*scenario, story"):
                migrate(warehouse)
        finally:
            loader.execute("alter table staging.labels rename column story to scenario")
