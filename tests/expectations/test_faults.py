"""Gate processed stops each fault of the kill rate."""

from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from benchmarks.faults.library import FAULTS, Fault
from benchmarks.hops import PAYMENTS, as_table
from tests.expectations.conftest import Frames, Line, closed_by


@pytest.mark.spark
@pytest.mark.stack
@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_gate_processed_stops_each_fault(line: Line, processed: Frames, fault: Fault) -> None:
    today = processed["transactions"].toPandas()
    day: date = today["event_date"].iloc[0]
    before = today.assign(
        event_id="y" + today["event_id"],
        event_at=today["event_at"] - timedelta(days=1),
        amount=today["amount"] + Decimal("0.50"),
        event_date=day - timedelta(days=1),
    )
    harmed = fault.inject(today, before, PAYMENTS)
    table: pa.Table = as_table(harmed[harmed["event_date"] == day], "processed.transactions")
    frames = {**processed, "transactions": line.spark.createDataFrame(table)}
    assert closed_by(line.evaluate_processed(frames))


@pytest.mark.spark
@pytest.mark.stack
def test_gate_processed_passes_the_day_without_the_fault(line: Line, processed: Frames) -> None:
    table = as_table(processed["transactions"].toPandas(), "processed.transactions")
    frames = {**processed, "transactions": line.spark.createDataFrame(table)}
    assert line.evaluate_processed(frames).passed
