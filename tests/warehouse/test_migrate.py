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


def test_the_reader_reads_production_and_cannot_write_it(warehouse: Settings) -> None:
    with _as(warehouse, "transformer") as transformer, _as(warehouse, "reader") as reader:
        transformer.execute("create table production.shown as select 1 as one")
        try:
            assert reader.execute("select one from production.shown").fetchall() == [(1,)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute("delete from production.shown")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute("create table production.mine (one integer)")
        finally:
            transformer.execute("drop table production.shown")


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
