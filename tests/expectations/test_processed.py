"""The gate of Processed, on what Spark wrote to its audit branch."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from contracts.stage_results import FeedCounts
from expectations import day_profile
from expectations import processed as gate
from expectations.gates import gate_processed
from sources.sparkov import SPARKOV
from tests.expectations.conftest import Frames, Line, closed_by, only, put, twice, without

pytestmark = [pytest.mark.spark, pytest.mark.stack]
SOME = "raw_position < 3"


def test_the_output_of_the_job_passes(line: Line) -> None:
    result = gate_processed(line.spark, line.processed, line.manifests, line.state_dir)
    assert not [check for check in result.checks if not check.passed]


@pytest.mark.parametrize(
    ("faults", "checks"),
    [
        # Faults that do not meet share a gate: each costs a second of Spark.
        (
            [
                put("transactions", "currency", "'usdollars'", SOME),
                put("transactions", "customer_id", "'789500570121'", SOME),
                put("transactions", "home_lat", "25.6574", SOME),
                put("labels", "known_at", "timestamp'2020-01-01 00:00:00'"),
                put("customers", "region", "'900-12-3456 Main Street'"),
            ],
            {
                "transactions.currency.form",
                "transactions.customer_id.length",
                "transactions.days.precise_places.between",
                "transactions.days.payments_without_customer.between",
                "transactions.days.labels_known_too_early.between",
                "customers.region.free_of",
            },
        ),
        (
            [
                put("transactions", "amount", "amount * 100"),
                put("transactions", "event_date", "date'2024-07-14'", SOME),
                twice("merchants"),
                put("labels", "label_source", "'rumour'", "true"),
                put("labels", "is_fraud", "true"),
            ],
            {
                "transactions.types.stored_type.equals_declared_type",
                "transactions.balances.amount_in_table.equals_amount_out",
                "transactions.days.misdated.between",
                "transactions.days.labels_without_payment.between",
                "transactions.days.fraud_share.between",
                "merchants.table.key_unique",
                "labels.label_source.in_set",
            },
        ),
        (
            [only("transactions", "hour(event_at) >= 12"), without("labels", "scenario")],
            {
                "transactions.balances.rows_in_table.equals_rows_out",
                "transactions.days.morning_share.between",
                "transactions.days.labels_without_payment.between",
                "labels.table.columns",
                "labels.types.stored_type.equals_declared_type",
            },
        ),
        (
            [
                twice("transactions"),
                put("transactions", "event_at_precision", "null", SOME),
                only("customers", "false"),
                only("merchants", "first_event_at > timestamp'2030-01-01 00:00:00'"),
            ],
            {
                "transactions.table.key_unique",
                "transactions.event_at_precision.not_null",
                "customers.table.not_empty",
                "transactions.days.payments_without_merchant.between",
            },
        ),
        ([only("transactions", "false")], {"transactions.table.not_empty"}),
    ],
)
def test_a_fault_in_processed_closes_the_gate(
    line: Line, processed: Frames, faults: list[Callable[[Frames], Frames]], checks: set[str]
) -> None:
    frames = processed
    for fault in faults:
        frames = fault(frames)
    result = line.evaluate_processed(frames)
    assert checks <= closed_by(result)
    assert "789500570121" not in str(result)


def test_a_job_that_reports_other_sums_than_it_wrote_closes_the_gate(
    line: Line, processed: Frames
) -> None:
    (balance,) = line.processed.balances
    lost = replace(balance, amount_out=balance.amount_out - Decimal("0.01"))
    refused = replace(
        balance, rows_in=balance.rows_in + 40, rows_quarantined=40, rows_out=balance.rows_out
    )
    seen = []
    for balance in (lost, refused):
        reported = replace(line, processed=replace(line.processed, balances=(balance,)))
        seen.append(closed_by(reported.evaluate_processed(processed)))
    assert {
        "transactions.balances.amount_in_table.equals_amount_out",
        "transactions.balances.amount_accounted.equals_amount_in",
    } <= seen[0]
    assert {
        "transactions.balances.rows_in.equals_rows_landed",
        "transactions.balances.rows_in_quarantine.equals_rows_quarantined",
        "transactions.balances.quarantined_share.declared",
    } <= seen[1]


def test_a_delivery_with_only_repeats_passes(line: Line) -> None:
    (balance,) = line.processed.balances
    repeats = replace(
        balance,
        rows_out=0,
        amount_out=Decimal("0.00"),
        rows_duplicate=balance.rows_in,
        amount_duplicate=balance.amount_in,
    )
    reported = replace(line, processed=replace(line.processed, balances=(repeats,), dates=()))
    # The rows of the day on the audit branch act as those of another delivery.
    frames = reported.frames()
    frames["past"] = frames["past"].selectExpr(
        *("'another' as raw_object" if c == "raw_object" else c for c in frames["past"].columns)
    )
    result = reported.evaluate_processed(frames)
    assert [check for check in result.checks if not check.passed] == []
    assert "transactions.run.rows_out.nothing_new" in {check.name for check in result.checks}


def test_rows_without_a_date_close_the_gate(line: Line) -> None:
    undated = replace(line.processed, dates=())
    reported = replace(line, processed=undated)
    result = reported.evaluate_processed(reported.frames())
    assert {
        "transactions.run.rows_out.nothing_new",
        "transactions.balances.rows_in_table.equals_rows_out",
        "transactions.days.table.not_empty",
    } <= closed_by(result)


REFUSED = (("USD", "1.10"), (None, "2.20"), ("dollars", "0.05"), ("USD", None))


def _refused(line: Line, frames: Frames) -> Frames:
    """Return the frames of Processed with rows in quarantine."""
    key = line.manifests[0].objects[0].key
    rows = [
        (key, number, "sparkov", str(number), "2024-07-15", ["unknown_currency"], money, currency)
        for number, (currency, money) in enumerate(REFUSED)
    ]
    names = "raw_object raw_position source_system event_id window_key reasons amount currency"
    others = {
        "first_seen_at": "timestamp'2024-07-16 00:00:00'",
        "rules": "array('currency')",
        "redrive_count": "0",
        "redrive_run_id": "null",
        "delivered_date": "date'2024-07-15'",
    }
    made = line.spark.createDataFrame(rows, names.split()).selectExpr(
        *(
            f"cast({others.get(field.name, field.name)} as {field.dataType.simpleString()})"
            f" as {field.name}"
            for field in frames["quarantine"].schema
        )
    )
    return {**frames, "quarantine": made}


def test_refused_money_is_counted_in_the_quarantine_table(line: Line, processed: Frames) -> None:
    (accepted,) = line.processed.balances
    refused = replace(
        accepted, rows_out=0, amount_out=Decimal("0.00"), rows_in=2, amount_in=Decimal("1.10"),
        rows_quarantined=2, amount_quarantined=Decimal("1.10"),
    )  # fmt: skip
    unknown = replace(
        refused, currency="XXX", amount_in=Decimal("2.25"), amount_quarantined=Decimal("2.25")
    )
    wrong = replace(unknown, amount_quarantined=Decimal("2.20"))
    check = "transactions.balances.amount_in_quarantine.equals_amount_quarantined"
    for balances, is_closed in (((refused, unknown), False), ((refused, wrong), True)):
        reported = replace(line, processed=replace(line.processed, balances=balances))
        closed = closed_by(reported.evaluate_processed(_refused(line, processed)))
        assert (check in closed) is is_closed
        assert "transactions.balances.rows_in_quarantine.equals_rows_quarantined" not in closed


def test_the_quarantine_is_counted_by_source_and_currency(line: Line, processed: Frames) -> None:
    quarantined = gate._in_quarantine(_refused(line, processed)["quarantine"])
    assert quarantined.rows == {"sparkov": 4}
    assert quarantined.amounts == {
        ("sparkov", "USD"): Decimal("1.10"),
        ("sparkov", "XXX"): Decimal("2.25"),
    }


def test_a_window_without_a_row_closes_the_gate(line: Line) -> None:
    empty = replace(line.processed, balances=(), dates=())
    reported = replace(line, processed=empty, manifests=[])
    assert closed_by(reported.evaluate_processed(reported.frames())) == {
        "transactions.balances.table.not_empty"
    }


def test_days_of_a_source_without_closed_lists_are_counted(line: Line, processed: Frames) -> None:
    batch = line.spark.createDataFrame(
        [(item.key,) for manifest in line.manifests for item in manifest.objects],
        "raw_object string",
    )
    profile = day_profile.read(line.spark, processed, batch, replace(SPARKOV, codes={}))
    assert profile.daily["rows"].sum() == processed["transactions"].count()


def test_labels_that_cannot_be_used_are_a_warning(line: Line, processed: Frames) -> None:
    feed = FeedCounts(rows=100, labels=93, unreadable=1, without_payment=6)
    reported = replace(line, processed=replace(line.processed, label_feed=feed))
    result = reported.evaluate_processed(processed)
    failed = {check.name: check.severity for check in result.checks if not check.passed}
    assert failed == {
        "labels.label_feed.unreadable.between": "warning",
        "labels.label_feed.without_payment_share.at_most": "warning",
    }
