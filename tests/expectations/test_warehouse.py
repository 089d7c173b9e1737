"""The gates of STAGING and of scores, on a separate warehouse."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from contracts.render import to_arrow
from contracts.stage_results import ScoreResult
from contracts.tables import TABLES
from expectations.gates import gate_scores, gate_staging
from expectations.scores import read_shadow
from tests.stage_results import result_of
from warehouse.scores import stage_scores

pytestmark = pytest.mark.postgres
DAYS = (date(2024, 7, 1), date(2024, 7, 2))
ROWS = 20
NOTHING_NEW = "transactions.run.rows_out.nothing_new"


def test_the_loaded_tables_pass(house: Any) -> None:
    assert house.closed_by(house.gate()) == set()
    assert len({check.table for check in house.gate().checks}) == 6


@pytest.fixture
def spoiled(house: Any) -> Iterator[Any]:
    """A house to break: what lies beside is staged again afterwards."""
    yield house
    house.stage()


def test_faults_in_staging_close_the_gate(spoiled: Any) -> None:
    beside = spoiled.staged.beside
    payments, labels = beside["staging.transactions"], beside["staging.labels"]
    features, customers = beside["staging.features"], beside["staging.customers"]
    spoiled.spoil(
        "loader",
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
        "customers.customer_id.length",
        *(f"{name}.lake.content.equals_content_before" for name in ("transactions", "customers")),
    } == spoiled.closed_by(result)
    (lost,) = [c for c in result.checks if c.name == "transactions.lake.rows.equals_rows_before"]
    assert lost.observed == (
        "1 of 2 rows, such as event_date=2024-07-01 source_system=sparkov rows=17 rows_before=20"
    )
    assert "789500570121" not in str(result)


def test_an_emptied_table_of_another_type_closes_the_gate(spoiled: Any) -> None:
    payments = spoiled.staged.beside["staging.transactions"]
    spoiled.spoil(
        "loader",
        f"truncate {payments}",
        f"alter table {payments} alter column amount type numeric(10,2)",
    )
    assert {
        "transactions.lake.rows.equals_rows_before",
        "transactions.types.stored_type.equals_declared_type",
    } <= spoiled.closed_by(spoiled.gate())


def test_a_window_with_only_repeats_passes_when_the_run_reports_it(spoiled: Any) -> None:
    spoiled.stage(())
    result = spoiled.gate()
    assert [check for check in result.checks if not check.passed] == []
    assert NOTHING_NEW in {check.name for check in result.checks}
    assert spoiled.staged.tables["staging.customers"].rows == 0


def test_rows_without_a_date_close_the_gate(house: Any) -> None:
    undated = replace(house.staged, dates=())
    result = gate_staging(house.dsn("loader"), house.catalog, undated, house.state_dir)
    assert house.closed_by(result) == {NOTHING_NEW}


def test_rules_that_a_table_enforces_are_not_evaluated(house: Any) -> None:
    beside = house.staged.beside
    payments, customers = beside["staging.transactions"], beside["staging.customers"]
    names = {check.name for check in house.gate().checks}
    assert {"transactions.currency.form", "transactions.table.key_unique"} <= names
    assert not names & {"transactions.event_id.not_null", "customers.table.key_unique"}
    with psycopg.connect(house.dsn("loader")) as connection:
        for refused in (
            f"update {payments} set event_id = null",
            f"insert into {customers} select * from {customers} limit 1",
        ):
            with pytest.raises(psycopg.IntegrityError), connection.transaction():
                connection.execute(refused.encode())


def test_a_changed_text_or_time_closes_the_gate_although_all_sums_agree(spoiled: Any) -> None:
    beside = spoiled.staged.beside
    spoiled.spoil(
        "loader",
        f"update {beside['staging.transactions']} set counterparty_id = 'merchant 9'"
        " where raw_position = 3",
        f"update {beside['staging.features']} set event_at = event_at + interval '1 hour'"
        " where event_date = '2024-07-01'",
        f"update {beside['staging.merchants']} set merchant_category = 'travel'",
    )
    assert spoiled.closed_by(spoiled.gate()) == {
        "transactions.lake.content.equals_content_before",
        "features.lake.content.equals_content_before",
        "merchants.lake.content.equals_content_before",
    }


def test_scores_read_from_the_shadow_table_have_the_types_of_the_contract(
    house: Any, warehouse_row: Any
) -> None:
    table = TABLES["staging.scores"]
    rows = [{**warehouse_row(table, DAYS[0], n), "score": n / ROWS} for n in range(ROWS)]
    scores = pa.Table.from_pylist(rows, to_arrow.schema(table))
    snapshot = house.staged.snapshots["sandbox.features"]
    scored = result_of(
        ScoreResult,
        f"sparkov@{DAYS[0]}",
        "score_gates",
        dates=DAYS[:1],
        snapshots={"sandbox.features": snapshot},
        model_name="text",
    )
    scores = scores.set_column(
        scores.schema.get_field_index("feature_snapshot_id"),
        "feature_snapshot_id",
        pa.array([snapshot] * ROWS, pa.int64()),
    )
    staged = stage_scores(house.dsn("loader"), scored, scores)
    back = read_shadow(house.dsn("loader"), staged)
    assert house.closed_by(gate_scores(house.catalog, staged, back, house.state_dir)) == set()
    lost = gate_scores(house.catalog, staged, back.slice(1), house.state_dir)
    assert house.closed_by(lost) == {"scores.batch.rows_scored.equals_rows_featured"}
