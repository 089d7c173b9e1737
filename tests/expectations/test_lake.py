"""The gates of Processed and Sandbox, on what Spark wrote to its audit branch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from contracts.results import GateResult, StageResult
from contracts.settings import Settings
from contracts.windows import Window
from expectations import lake
from expectations.gates import gate_processed, gate_sandbox
from expectations.run import Batch
from sources.deliver import deliveries
from sources.land import land
from sources.manifest import Manifest, find_latest
from sources.store import s3_client

pytestmark = [pytest.mark.spark, pytest.mark.stack]
WINDOW = Window.parse("sparkov@2024-07-15")
Frames = dict[str, Any]


@dataclass
class Line:
    """A day that was landed, processed and prepared, published by nobody."""

    spark: Any
    manifests: list[Manifest]
    processed: StageResult
    prepared: StageResult
    state_dir: Path

    def frames(self, zone: str) -> Frames:
        """Return the audited frames of a zone, by short name."""
        from spark.jobs.read import audit_frame

        if zone == "processed":
            return {
                name: audit_frame(self.spark, self.processed, f"processed.{name}")
                for name in lake.PROCESSED_TABLES
            }
        tables = {"transactions": "processed.transactions"}
        tables |= {name: f"sandbox.{name}" for name in lake.SANDBOX_TABLES}
        return {
            name: audit_frame(self.spark, self.prepared, table) for name, table in tables.items()
        }

    def judge_processed(self, frames: Frames) -> GateResult:
        """Judge frames as if they were the audited ones."""
        return lake.judge_processed(
            self.spark, frames, self.processed, self.manifests, self.state_dir
        )


@pytest.fixture(scope="module")
def line(
    spark: Any, spark_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    from spark.jobs.prepare import prepare
    from spark.jobs.process import process
    from spark.jobs.publish import discard

    settings, bucket = spark_settings, spark_settings.s3.raw_bucket
    client = s3_client(settings, "lander")
    files = deliveries(WINDOW, settings.data_dir)
    land(WINDOW, client, bucket, files, run_id="land_gates")
    manifests = [find_latest(client, bucket, WINDOW)]
    processed = process(
        spark,
        manifests,
        WINDOW,
        run_id="process_gates",
        raw_bucket=bucket,
        key_file=settings.pseudonym_key_file,
    )
    prepared = prepare(spark, processed, run_id="prepare_gates")
    yield Line(spark, manifests, processed, prepared, tmp_path_factory.mktemp("state"))
    discard(spark, prepared)
    discard(spark, processed)


def _held(line: Line, zone: str) -> Iterator[Frames]:
    """Give the frames of a zone, read from the lake once for all tests."""
    frames = {name: frame.persist() for name, frame in line.frames(zone).items()}
    yield frames
    for frame in frames.values():
        frame.unpersist()


@pytest.fixture(scope="module")
def processed(line: Line) -> Iterator[Frames]:
    yield from _held(line, "processed")


@pytest.fixture(scope="module")
def sandbox(line: Line) -> Iterator[Frames]:
    yield from _held(line, "sandbox")


def _closed_by(result: GateResult) -> set[str]:
    return {c.name for c in result.checks if not c.passed and c.severity == "critical"}


def _put(name: str, column: str, expression: str, where: str = "true") -> Callable[[Frames], Any]:
    """Return a fault: a column of a frame has another value in some rows."""

    def fault(frames: Frames) -> Frames:
        changed = frames[name].selectExpr(
            *(
                f"case when {where} then {expression} else {c} end as {c}" if c == column else c
                for c in frames[name].columns
            )
        )
        return {**frames, name: changed}

    return fault


def _only(name: str, where: str) -> Callable[[Frames], Any]:
    return lambda frames: {**frames, name: frames[name].where(where)}


def _twice(name: str) -> Callable[[Frames], Any]:
    return lambda frames: {**frames, name: frames[name].unionAll(frames[name].limit(1))}


def _without(name: str, column: str) -> Callable[[Frames], Any]:
    return lambda frames: {**frames, name: frames[name].drop(column)}


def test_what_the_jobs_wrote_passes(line: Line) -> None:
    processed = gate_processed(line.spark, line.processed, line.manifests, line.state_dir)
    assert not [check for check in processed.checks if not check.passed]
    sandbox = gate_sandbox(line.spark, line.prepared, line.state_dir)
    assert not [check for check in sandbox.checks if not check.passed]


def test_the_sandbox_is_judged_against_the_processed_snapshot_it_was_made_from(line: Line) -> None:
    log = line.spark.table("lake.processed.transactions.snapshots")
    written = line.prepared.snapshots["processed.transactions"]
    (before,) = log.where(f"snapshot_id = {written}").select("parent_id").collect()
    other = {**line.prepared.snapshots, "processed.transactions": before[0]}
    prepared = replace(line.prepared, snapshots=other)
    judged = gate_sandbox(line.spark, prepared, line.state_dir)
    assert {
        "features.days.rows.equals_rows_before",
        "features.days.unmatched.between",
    } <= _closed_by(judged)


SOME = "raw_position < 3"


@pytest.mark.parametrize(
    ("faults", "checks"),
    [
        # Faults that do not meet share a gate: each costs a second of Spark.
        (
            [
                _put("transactions", "currency", "'usdollars'", SOME),
                _put("transactions", "customer_id", "'789500570121'", SOME),
                _put("transactions", "home_lat", "25.6574", SOME),
                _put("labels", "known_at", "timestamp'2020-01-01 00:00:00'"),
                _put("customers", "region", "'900-12-3456 Main Street'"),
            ],
            {
                "transactions.currency.form",
                "transactions.customer_id.form",
                "transactions.days.precise_places.between",
                "transactions.days.payments_without_customer.between",
                "transactions.days.labels_known_too_early.between",
                "customers.region.free_of",
            },
        ),
        (
            [
                _put("transactions", "amount", "amount * 100"),
                _put("transactions", "event_date", "date'2024-07-14'", SOME),
                _twice("merchants"),
                _put("labels", "label_source", "'rumour'", "true"),
                _put("labels", "is_fraud", "true"),
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
            [_only("transactions", "hour(event_at) >= 12"), _without("labels", "scenario")],
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
                _twice("transactions"),
                _put("transactions", "event_at_precision", "null", SOME),
                _only("customers", "false"),
                _only("merchants", "first_event_at > timestamp'2030-01-01 00:00:00'"),
            ],
            {
                "transactions.table.key_unique",
                "transactions.event_at_precision.not_null",
                "customers.table.not_empty",
                "transactions.days.payments_without_merchant.between",
            },
        ),
        ([_only("transactions", "false")], {"transactions.table.not_empty"}),
    ],
)
def test_a_fault_in_processed_closes_the_gate(
    line: Line, processed: Frames, faults: list[Callable[[Frames], Frames]], checks: set[str]
) -> None:
    frames = processed
    for fault in faults:
        frames = fault(frames)
    result = line.judge_processed(frames)
    assert checks <= _closed_by(result)
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
    for told in (lost, refused):
        line_told = replace(line, processed=replace(line.processed, balances=(told,)))
        seen.append(_closed_by(line_told.judge_processed(processed)))
    assert {
        "transactions.balances.amount_in_table.equals_amount_out",
        "transactions.balances.amount_accounted.equals_amount_in",
    } <= seen[0]
    assert {
        "transactions.balances.rows_in.equals_rows_landed",
        "transactions.balances.rows_in_quarantine.equals_rows_quarantined",
        "transactions.balances.quarantined_share.declared",
    } <= seen[1]


def test_a_delivery_of_repeats_only_passes(line: Line) -> None:
    (balance,) = line.processed.balances
    repeats = replace(
        balance,
        rows_out=0,
        amount_out=Decimal("0.00"),
        rows_duplicate=balance.rows_in,
        amount_duplicate=balance.amount_in,
    )
    processed = replace(line.processed, balances=(repeats,), dates=())
    judged = gate_processed(line.spark, processed, line.manifests, line.state_dir)
    assert [check for check in judged.checks if not check.passed] == []
    assert "transactions.run.rows_out.nothing_new" in {check.name for check in judged.checks}

    prepared = replace(line.prepared, balances=(), dates=())
    judged = gate_sandbox(line.spark, prepared, line.state_dir)
    assert [check for check in judged.checks if not check.passed] == []
    assert "features.run.rows_out.nothing_new" in {check.name for check in judged.checks}


def test_rows_without_a_date_close_the_gate(line: Line) -> None:
    undated = replace(line.processed, dates=())
    told = replace(line, processed=undated)
    judged = told.judge_processed(told.frames("processed"))
    assert {
        "transactions.run.rows_out.nothing_new",
        "transactions.balances.rows_in_table.equals_rows_out",
        "transactions.days.table.not_empty",
    } <= _closed_by(judged)


REFUSED = (("USD", "1.10"), (None, "2.20"), ("dollars", "0.05"), ("USD", None))


def _refused(line: Line, frames: Frames) -> Frames:
    """Return the frames of Processed with rows in quarantine."""
    key = line.manifests[0].objects[0].key
    rows = [
        (key, number, "sparkov", str(number), "2024-07-15", ["unknown_currency"], money, currency)
        for number, (currency, money) in enumerate(REFUSED)
    ]
    names = "raw_object raw_position source_system event_id window_key reasons amount currency"
    made = line.spark.createDataFrame(rows, names.split()).selectExpr(
        *(
            f"cast({field.name} as {field.dataType.simpleString()}) as {field.name}"
            if field.name in names.split()
            else "timestamp'2024-07-16 00:00:00' as first_seen_at"
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
        told = replace(line, processed=replace(line.processed, balances=balances))
        closed = _closed_by(told.judge_processed(_refused(line, processed)))
        assert (check in closed) is is_closed
        assert "transactions.balances.rows_in_quarantine.equals_rows_quarantined" not in closed


def test_spark_and_memory_count_the_quarantine_alike(line: Line, processed: Frames) -> None:
    frame = _refused(line, processed)["quarantine"]
    for batch in (
        Batch("processed.quarantine", frame, (), engine="spark"),
        Batch("processed.quarantine", frame.toPandas(), ()),
    ):
        held = lake._in_quarantine(batch)
        assert held.rows == {"sparkov": 4}
        assert held.amounts == {
            ("sparkov", "USD"): Decimal("1.10"),
            ("sparkov", "XXX"): Decimal("2.25"),
        }


def test_a_window_without_a_row_passes_only_when_declared_empty(line: Line) -> None:
    empty = replace(line.processed, balances=(), dates=())
    told = replace(line, processed=empty, manifests=[])
    frames = told.frames("processed")
    assert _closed_by(told.judge_processed(frames)) == {"transactions.balances.table.not_empty"}
    told.processed = replace(empty, details={"declared_empty": True})
    assert told.judge_processed(frames).passed


EVENT = "event_id < '3'"


@pytest.mark.parametrize(
    ("faults", "checks"),
    [
        (
            [
                _put("features", "amount", "cast(amount * 100 as decimal(18,2))", EVENT),
                _put("features", "hour_of_day", "24", EVENT),
                _put("features", "customer_transaction_count_7d", "0L", EVENT),
                _put("features", "home_distance_km", "40000d", EVENT),
                _put("features", "customer_id", "'789500570121'", EVENT),
            ],
            {
                "features.days.amount.equals_amount_before",
                "features.days.different_money.between",
                "features.hour_of_day.between",
                "features.customer_transaction_count_7d.between",
                "features.customer_transaction_count_7d.not_below_customer_transaction_count_1d",
                "features.home_distance_km.on_earth",
                "features.customer_id.form",
            },
        ),
        (
            [
                _only("features", f"not ({EVENT})"),
                _put("features", "merchant_fraud_share_7d", "cast(null as double)"),
                _put("transactions_masked", "event_id", "concat('x', event_id)"),
            ],
            {
                "features.days.rows.equals_rows_before",
                "features.days.unmatched.between",
                "features.merchant_fraud_share_7d.not_null",
                "features.days.masked_unmatched.between",
            },
        ),
        (
            [
                _twice("features"),
                _put("features", "time_since_last_seconds", "9999999L", EVENT),
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
    result = lake.judge_sandbox(line.spark, frames, line.prepared, line.state_dir)
    assert checks <= _closed_by(result)


def test_spark_and_memory_judge_alike(
    line: Line, processed: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = processed
    for fault in (
        _put("transactions", "currency", "'usdollars'", SOME),
        _put("transactions", "channel", "null", SOME),
        _put("transactions", "customer_id", "'789500570121'", SOME),
        _twice("transactions"),
    ):
        frames = fault(frames)
    in_memory = line.judge_processed(frames)
    monkeypatch.setattr(lake, "SMALL_ROWS", 0)
    in_spark = line.judge_processed(frames)
    assert {(c.name, c.passed) for c in in_memory.checks} == {
        (c.name, c.passed) for c in in_spark.checks
    }
    assert "789500570121" not in str(in_spark)
