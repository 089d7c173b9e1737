"""The gate of the Sandbox, on what Spark wrote to its audit branch."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from expectations.gates import gate_sandbox
from expectations.sandbox import evaluate_sandbox
from tests.expectations.conftest import Frames, Line, closed_by, only, put, twice

pytestmark = [pytest.mark.spark, pytest.mark.stack]
EVENT = "event_id < '3'"


def test_the_output_of_the_job_passes(line: Line) -> None:
    result = gate_sandbox(line.spark, line.prepared, line.state_dir)
    assert not [check for check in result.checks if not check.passed]


def test_a_run_without_new_rows_passes(line: Line) -> None:
    prepared = replace(line.prepared, balances=(), dates=())
    result = gate_sandbox(line.spark, prepared, line.state_dir)
    assert [check for check in result.checks if not check.passed] == []
    assert "features.run.rows_out.nothing_new" in {check.name for check in result.checks}


def test_the_sandbox_is_compared_with_the_processed_snapshot_that_it_read(line: Line) -> None:
    log = line.spark.table("lake.processed.transactions.snapshots")
    written = line.prepared.snapshots["processed.transactions"]
    (before,) = log.where(f"snapshot_id = {written}").select("parent_id").collect()
    other = {**line.prepared.snapshots, "processed.transactions": before[0]}
    prepared = replace(line.prepared, snapshots=other)
    result = gate_sandbox(line.spark, prepared, line.state_dir)
    assert {
        "features.days.rows.equals_rows_before",
        "features.days.content.equals_content_before",
    } <= closed_by(result)


@pytest.mark.parametrize(
    ("faults", "checks"),
    [
        (
            [
                put("features", "amount", "cast(amount * 100 as decimal(20,4))", EVENT),
                put("features", "hour_of_day", "24", EVENT),
                put("features", "customer_transaction_count_7d", "0L", EVENT),
                put("features", "home_distance_km", "40000d", EVENT),
                put("features", "customer_id", "'789500570121'", EVENT),
            ],
            {
                "features.days.amount.equals_amount_before",
                "features.days.content.equals_content_before",
                "features.hour_of_day.between",
                "features.customer_transaction_count_7d.between",
                "features.customer_transaction_count_7d.not_below_customer_transaction_count_1d",
                "features.home_distance_km.on_earth",
                "features.customer_id.length",
            },
        ),
        (
            [put("features", "source_features", "map('v1', 1d)", EVENT)],
            {"features.days.content.equals_content_before"},
        ),
        (
            [
                only("features", f"not ({EVENT})"),
                put("features", "merchant_fraud_share_7d", "cast(null as double)"),
                put("transactions_masked", "event_id", "concat('x', event_id)"),
            ],
            {
                "features.days.rows.equals_rows_before",
                "features.days.content.equals_content_before",
                "features.merchant_fraud_share_7d.present_with_counterparty_id",
                "features.days.masked_unmatched.between",
            },
        ),
        (
            [
                twice("features"),
                put("features", "time_since_last_seconds", "9999999L", EVENT),
                lambda frames: {
                    **frames,
                    "transactions_masked": frames["transactions"].selectExpr(
                        "event_id", "source_system", "event_date", "12 as hour_of_day",
                        "counterparty_type", "merchant_category", "transaction_type", "channel",
                        "payment_method", "10L as amount_rounded", "currency", "country", "region",
                    ),
                },
            ],
            {
                "features.table.key_unique",
                "features.time_since_last_seconds.inside_history",
                "features.days.masked_share.between",
            },
        ),
    ],
)  # fmt: skip
def test_a_fault_in_the_sandbox_closes_the_gate(
    line: Line, sandbox: Frames, faults: list[Callable[[Frames], Frames]], checks: set[str]
) -> None:
    frames = sandbox
    for fault in faults:
        frames = fault(frames)
    result = evaluate_sandbox(line.spark, frames, line.prepared, line.state_dir)
    assert checks <= closed_by(result)
