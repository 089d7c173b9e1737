"""The gates of STAGING and PRODUCTION, on a warehouse of their own."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from contracts.columns import LogicalType
from contracts.render import to_arrow, to_postgres
from contracts.render.to_gx import WARNING
from contracts.results import GateResult, StageResult
from contracts.settings import Settings
from contracts.stages import Gate
from contracts.tables import TABLES, Table
from expectations import warehouse as gates
from expectations.gates import gate_production, gate_scores, gate_staging
from expectations.run import Batch, judge
from expectations.scores import read_beside
from expectations.suites.tables import SUITES
from warehouse.load import stage, swap
from warehouse.migrate import migrate
from warehouse.scores import stage_scores

pytestmark = pytest.mark.postgres
DAYS = (date(2024, 7, 1), date(2024, 7, 2))
ROWS = 20
NOTHING_NEW = "transactions.run.rows_out.nothing_new"
TYPICAL: dict[LogicalType, Any] = {
    LogicalType.STRING: "text",
    LogicalType.INTEGER: 1,
    LogicalType.LONG: 1,
    LogicalType.DOUBLE: 0.5,
    LogicalType.BOOLEAN: False,
    LogicalType.MONEY: Decimal("1.00"),
    LogicalType.STRINGS: ["late"],
}


def _row(table: Table, day: date, number: int) -> dict[str, Any]:
    """Return a payment of a day, as each table tells it."""
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
    staged: StageResult
    state_dir: Path

    def gate(self) -> GateResult:
        """Judge what lies beside STAGING."""
        return gate_staging(self.dsn("loader"), self.catalog, self.staged, self.state_dir)

    def production(self) -> GateResult:
        """Judge the audit schema."""
        window = "sparkov@2024-07-01--2024-07-02"
        built = StageResult("build", window, "build_gates", self.staged.dates)
        return gate_production(self.dsn("transformer"), built, self.state_dir)

    def dsn(self, role: Any) -> str:
        """Return the login of a role."""
        return self.settings.warehouse.dsn(role)


@pytest.fixture(scope="module")
def own(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    name = f"warehouse_gates_{secrets.token_hex(4)}"
    settings = postgres.model_copy(
        update={
            "state_dir": tmp_path_factory.mktemp("state"),
            "warehouse": postgres.warehouse.model_copy(update={"database": name}),
        }
    )
    with psycopg.connect(
        host=postgres.warehouse.host,
        port=postgres.warehouse.port,
        user="postgres",
        password=(postgres.secrets_dir / "postgres_superuser").read_text().strip(),
        dbname="postgres",
        autocommit=True,
    ) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        for role in ("loader", "transformer"):
            user = sql.Identifier(settings.warehouse.user(role))
            grant = sql.SQL("grant create on database {} to {}")
            admin.execute(grant.format(sql.Identifier(name), user))
        migrate(settings)
        yield settings
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def house(own: Settings, tmp_path_factory: pytest.TempPathFactory) -> House:
    from pyiceberg.catalog.sql import SqlCatalog

    folder = tmp_path_factory.mktemp("lake")
    catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}")
    snapshots = {}
    for zone in ("processed", "sandbox"):
        catalog.create_namespace(zone)
    for name in gates._LAKE_TABLES.values():
        table = TABLES[name]
        days = DAYS if table.partition_by else DAYS[:1]
        rows = {"customers": 5, "merchants": 3, "quarantine": 2}.get(table.short_name, ROWS)
        content = [_row(table, day, n) for day in days for n in range(rows)]
        created = catalog.create_table(name, to_arrow.schema(table))
        created.append(pa.Table.from_pylist(content, to_arrow.schema(table)))
        snapshots[name] = created.current_snapshot().snapshot_id
    staged = _stage(own, catalog, snapshots, DAYS)
    return House(own, catalog, staged, tmp_path_factory.mktemp("gates"))


def _stage(
    settings: Settings, catalog: Any, snapshots: dict[str, int], dates: tuple[date, ...]
) -> StageResult:
    """Load a window that touched these dates beside STAGING."""
    window = "sparkov@2024-07-01--2024-07-02"
    processed = StageResult("process", window, "process_1", dates, snapshots)
    prepared = StageResult("prepare", window, "prepare_1", dates, snapshots)
    return stage(catalog, settings.warehouse.dsn("loader"), processed, prepared, "load_gates")


def _closed_by(result: GateResult) -> set[str]:
    return {c.name for c in result.checks if not c.passed and c.severity == "critical"}


def _spoil(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_what_was_loaded_passes(house: House) -> None:
    assert _closed_by(house.gate()) == set()
    assert len({check.table for check in house.gate().checks}) == 6


@pytest.fixture
def spoiled(house: House) -> Iterator[House]:
    """A house to break: what lies beside is staged again afterwards."""
    yield house
    house.staged = _stage(house.settings, house.catalog, house.staged.snapshots, DAYS)


def test_faults_in_staging_close_the_gate(spoiled: House) -> None:
    beside = spoiled.staged.details["beside"]
    payments, labels = beside["staging.transactions"], beside["staging.labels"]
    features, customers = beside["staging.features"], beside["staging.customers"]
    _spoil(
        spoiled.dsn("loader"),
        f"delete from {payments} where event_date = '2024-07-01' and amount < 3",
        f"update {labels} set is_fraud = not is_fraud where event_date = '2024-07-02'",
        f"update {features} set amount = amount * 100",
        f"update {customers} set customer_id = '789500570121' where customer_id like '%04'",
    )
    result = spoiled.gate()
    assert {
        "transactions.lake.rows.equals_rows_before",
        "transactions.lake.amount.equals_amount_before",
        "labels.lake.is_fraud.equals_is_fraud_before",
        "features.lake.amount.equals_amount_before",
        "customers.customer_id.form",
        *(f"{name}.lake.content.equals_content_before" for name in ("transactions", "customers")),
    } == _closed_by(result)
    (lost,) = [c for c in result.checks if c.name == "transactions.lake.rows.equals_rows_before"]
    assert lost.observed == (
        "1 of 2 rows, such as event_date=2024-07-01 source_system=sparkov rows=17 rows_before=20"
    )
    assert "789500570121" not in str(result)


def test_an_emptied_table_of_another_type_closes_the_gate(spoiled: House) -> None:
    payments = spoiled.staged.details["beside"]["staging.transactions"]
    _spoil(
        spoiled.dsn("loader"),
        f"truncate {payments}",
        f"alter table {payments} alter column amount type numeric(10,2)",
    )
    assert {
        "transactions.lake.rows.equals_rows_before",
        "transactions.types.stored_type.equals_declared_type",
    } <= _closed_by(spoiled.gate())


def test_a_window_of_repeats_only_passes_by_saying_so(spoiled: House) -> None:
    snapshots = spoiled.staged.snapshots
    spoiled.staged = _stage(spoiled.settings, spoiled.catalog, snapshots, ())
    result = spoiled.gate()
    assert [check for check in result.checks if not check.passed] == []
    assert NOTHING_NEW in {check.name for check in result.checks}
    # The small tables come whole all the same and are judged against the lake.
    customers = spoiled.staged.details["beside"]["staging.customers"]
    _spoil(spoiled.dsn("loader"), f"delete from {customers} where customer_id like '%03'")
    assert _closed_by(spoiled.gate()) == {
        "customers.lake.rows.equals_rows_before",
        "customers.lake.content.equals_content_before",
    }


def test_rows_without_a_date_close_the_gate(house: House) -> None:
    undated = replace(house.staged, dates=())
    result = gate_staging(house.dsn("loader"), house.catalog, undated, house.state_dir)
    assert _closed_by(result) == {NOTHING_NEW}


def test_postgres_counts_what_great_expectations_finds_in_memory(spoiled: House) -> None:
    payments = spoiled.staged.details["beside"]["staging.transactions"]
    _spoil(
        spoiled.dsn("loader"),
        f"update {payments} set customer_id = '789500570121', currency = 'usd' where amount < 3",
    )
    in_postgres = spoiled.gate()
    table = TABLES["staging.transactions"]
    with psycopg.connect(spoiled.dsn("loader")) as connection:
        rows = gates._query(connection, f"select * from {payments}", {})
    batch = Batch(table.name, rows, SUITES["transactions"](table), ("event_id",))
    in_memory = judge(Gate.STAGING, "sparkov@2024-07-01", "run", [batch], spoiled.state_dir)
    judged = {check.name: check for check in in_postgres.checks}
    assert {name: judged[name].passed for name in (c.name for c in in_memory.checks)} == {
        check.name: check.passed for check in in_memory.checks
    }
    assert judged["transactions.customer_id.form"].observed == "6 of 40 rows"
    assert _closed_by(in_memory) == {
        "transactions.currency.form",
        "transactions.customer_id.form",
    }


def test_a_changed_text_or_time_closes_the_gate_though_all_sums_agree(spoiled: House) -> None:
    beside = spoiled.staged.details["beside"]
    _spoil(
        spoiled.dsn("loader"),
        f"update {beside['staging.transactions']} set counterparty_id = 'merchant 9'"
        " where raw_position = 3",
        f"update {beside['staging.features']} set event_at = event_at + interval '1 hour'"
        " where event_date = '2024-07-01'",
        f"update {beside['staging.merchants']} set merchant_category = 'travel'",
    )
    assert _closed_by(spoiled.gate()) == {
        "transactions.lake.content.equals_content_before",
        "features.lake.content.equals_content_before",
        "merchants.lake.content.equals_content_before",
    }


MARTS = {
    "dim_customers": "staging.customers",
    "dim_merchants": "staging.merchants",
    "fct_transactions": "staging.transactions",
    "fct_fraud_labels": "staging.labels",
}


@pytest.fixture
def marts(house: House) -> House:
    """PRODUCTION's marts as they should be, in the audit schema."""
    swap(house.dsn("loader"), house.staged)
    with psycopg.connect(house.dsn("transformer")) as connection:

        def run(statement: str) -> None:
            connection.execute(statement.encode())

        for name in (*MARTS, "dim_dates", "rpt_fraud_daily"):
            table = TABLES[f"production.{name}"]
            run(f"drop table if exists production_audit.{name}")
            run(f"create table production_audit.{name} ({to_postgres.columns(table)})")
        for name, origin in MARTS.items():
            run(f"insert into production_audit.{name} select * from {origin}")
        for day in DAYS:
            run(
                "insert into production_audit.dim_dates values"
                f" ('{day}', {day.year}, {day.month}, 27, {day.isoweekday()}, false)"
            )
        run(
            "insert into production_audit.rpt_fraud_daily"
            " select event_date, source_system, currency, count(*), sum(amount),"
            " count(distinct customer_id), 1, 7.37, 0.05, '2024-07-02'"
            " from production_audit.fct_transactions group by 1, 2, 3"
        )
    return house


def test_marts_that_tell_what_staging_holds_pass(marts: House) -> None:
    assert _closed_by(marts.production()) == set()


def test_faults_in_the_marts_close_the_gate(marts: House) -> None:
    _spoil(
        marts.dsn("transformer"),
        "delete from production_audit.fct_transactions"
        " where event_date = '2024-07-02' and amount > 18",
        "insert into production_audit.fct_fraud_labels"
        " select * from production_audit.fct_fraud_labels limit 1",
        "delete from production_audit.dim_customers where customer_id like '%03'",
        "update production_audit.dim_merchants set counterparty_id = 'nobody'"
        " where counterparty_id = 'merchant 2'",
        "delete from production_audit.dim_dates where calendar_date = '2024-07-01'",
        "alter table production_audit.rpt_fraud_daily alter column amount type numeric(20,3)",
        "update production_audit.rpt_fraud_daily set amount = amount + 0.01",
        "alter table production_audit.dim_merchants drop column merchant_category",
    )
    result = marts.production()
    assert {
        "dim_customers.keys.keys_missing.between",
        "dim_merchants.keys.keys_missing.between",
    } == {check.name for check in result.checks if not check.passed and check.severity == WARNING}
    assert _closed_by(result) == {
        "fct_transactions.staging.rows.equals_rows_before",
        "fct_transactions.staging.amount.equals_amount_before",
        "fct_transactions.staging.content.equals_content_before",
        "fct_fraud_labels.staging.content.equals_content_before",
        "fct_transactions.keys.without_customer.between",
        "fct_transactions.keys.without_merchant.between",
        "fct_transactions.keys.without_date.between",
        "fct_transactions.keys.labels_without_payment.between",
        "dim_merchants.keys.keys_of_nobody.between",
        "fct_fraud_labels.staging.rows.equals_rows_before",
        "fct_fraud_labels.table.key_unique",
        "rpt_fraud_daily.types.stored_type.equals_declared_type",
        "rpt_fraud_daily.amount.between",
        "rpt_fraud_daily.amount.not_null",
        "rpt_fraud_daily.facts.transaction_count.equals_transaction_count_before",
        "rpt_fraud_daily.facts.amount.equals_amount_before",
        "dim_merchants.types.stored_type.equals_declared_type",
        "dim_merchants.table.columns",
        "dim_merchants.merchant_category.free_of",
    }


def test_a_build_without_dates_passes(marts: House) -> None:
    built = StageResult("build", "sparkov@2024-07-01", "build_gates", ())
    result = gate_production(marts.dsn("transformer"), built, marts.state_dir)
    assert _closed_by(result) == set()


def test_empty_marts_close_the_gate(marts: House) -> None:
    _spoil(
        marts.dsn("transformer"),
        "truncate production_audit.fct_transactions, production_audit.rpt_fraud_daily",
    )
    assert "fct_transactions.staging.rows.equals_rows_before" in _closed_by(marts.production())


def test_scores_read_back_from_beside_have_the_types_of_the_contract(house: House) -> None:
    table = TABLES["staging.scores"]
    rows = [{**_row(table, DAYS[0], n), "score": n / ROWS} for n in range(ROWS)]
    scores = pa.Table.from_pylist(rows, to_arrow.schema(table))
    snapshot = house.staged.snapshots["sandbox.features"]
    scored = StageResult(
        "score",
        f"sparkov@{DAYS[0]}",
        "score_gates",
        DAYS[:1],
        {"sandbox.features": snapshot},
        details={"model_name": "text", "model_version": 1},
    )
    scores = scores.set_column(
        scores.schema.get_field_index("feature_snapshot_id"),
        "feature_snapshot_id",
        pa.array([snapshot] * ROWS, pa.int64()),
    )
    staged = stage_scores(house.dsn("loader"), scored, scores)
    back = read_beside(house.dsn("loader"), staged)
    assert _closed_by(gate_scores(house.catalog, staged, back, house.state_dir)) == set()
    lost = gate_scores(house.catalog, staged, back.slice(1), house.state_dir)
    assert _closed_by(lost) == {"scores.batch.rows_scored.equals_rows_featured"}
