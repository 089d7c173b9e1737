"""However a stream of rows is shuffled, repeated, split and delayed, the tables end the same.

One thing does depend on the order: of rows that share an id and differ in content the first to be
processed is kept. Which payments there are, and everything about those that nobody contests, does
not.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contracts.stage_results import ProcessResult
from sources.manifest import Manifest

if TYPE_CHECKING:
    from tests.spark.conftest import Line

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.soak,
    pytest.mark.random_order(disabled=True),
]

WINDOWS = ("2019-01-06", "2019-01-07", "2019-01-08")
EXAMPLES = 3


def payment(event_id: str, day: int, second: int, customer: str, amount: float) -> dict[str, Any]:
    return {
        "trans_num": event_id,
        "trans_date": f"2019-01-{day:02}",
        "trans_time": f"08:00:{second:02}",
        "acct_num": customer,
        "merchant": f"fraud_shop of {customer[0]}{second % 2}",
        "amt": amount,
        "is_fraud": int(second == 7),
    }


CLEAN = [
    payment(f"e{n}", day=3 + n % 4, second=n, customer=f"a{n % 2}", amount=10.0 + n)
    for n in range(12)
]
CONTESTED = [
    (
        payment(f"c{n}", day=4, second=20 + n, customer="contested", amount=1.0),
        payment(f"c{n}", day=4 + n, second=20 + n, customer="contested", amount=2.0),
    )
    for n in range(3)
]


@dataclass
class Arrivals:
    """What each window delivers, in file order, the order of processing and what is redone."""

    deliveries: dict[str, list[dict[str, Any]]]
    order: tuple[str, ...]
    again: str


@st.composite
def arrivals(draw: st.DrawFn) -> Arrivals:
    """Draw how the stream arrives: each row at least once, in any window and place."""
    rows = [*CLEAN, *(content for pair in CONTESTED for content in pair)]
    repeated = draw(st.lists(st.sampled_from(rows), max_size=8))
    stream = draw(st.permutations([*rows, *repeated]))
    windows = draw(st.lists(st.sampled_from(WINDOWS), min_size=len(stream), max_size=len(stream)))
    deliveries: dict[str, list[dict[str, Any]]] = {name: [] for name in WINDOWS}
    for row, window in zip(stream, windows, strict=True):
        deliveries[window].append(row)
    order = draw(st.permutations([name for name in WINDOWS if deliveries[name]]))
    return Arrivals(deliveries, tuple(order), draw(st.sampled_from(order)))


@dataclass
class Expected:
    """What a reader of the rule would write down of a stream that arrives so."""

    kept: dict[str, dict[str, Any]]
    refused: int
    repeated: int


def reckoned(arrivals: Arrivals) -> Expected:
    """Take row after row: the first of an id is kept, others repeat it or contradict it."""
    kept: dict[str, dict[str, Any]] = {}
    refused = repeated = 0
    for row in (row for window in arrivals.order for row in arrivals.deliveries[window]):
        if row["trans_num"] not in kept:
            kept[row["trans_num"]] = row
        elif row == kept[row["trans_num"]]:
            repeated += 1
        else:
            refused += 1
    return Expected(kept, refused, repeated)


def processed(line: "Line", manifest: Manifest, run_id: str) -> ProcessResult:
    from lake.publish import publish

    return publish(line.spark, line.process(manifest, run_id))


def uncontested(line: "Line", result: ProcessResult) -> dict[str, list[str]]:
    """Return what must not depend on the order, without where and when a row arrived."""
    from pyspark.sql import functions as F

    from lake.frames import audit_frame
    from spark.jobs.prepare import prepare

    everything = replace(result, dates=(date(2019, 1, 1),))
    prepared = prepare(line.spark, everything, run_id="features")
    arrival = ("ingested_at", "raw_object", "raw_position", "source_sequence")
    is_clean = F.col("event_id").startswith("e")
    payments = line.spark.table("lake.processed.transactions").filter(is_clean)
    frames = {
        "transactions": payments.drop(*arrival),
        "labels": line.spark.table("lake.processed.labels").filter(is_clean).drop(*arrival),
        "features": audit_frame(line.spark, prepared, "sandbox.features").filter(is_clean),
    }
    for table, key in (("customers", "customer_id"), ("merchants", "counterparty_id")):
        party = line.spark.table(f"lake.processed.{table}")
        frames[table] = party.join(payments.select(key), key, "left_semi")
    return {
        name: sorted(repr(sorted(row.asDict().items())) for row in frame.collect())
        for name, frame in frames.items()
    }


@pytest.fixture(scope="module")
def seen() -> list[dict[str, list[str]]]:
    """Return what earlier examples have found, for the others to find again."""
    return []


@given(arrivals=arrivals())
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_tables_end_the_same_however_the_rows_arrive(
    line: "Line", seen: list[dict[str, list[str]]], arrivals: Arrivals
) -> None:
    """Slow: three streams, each of three windows that are processed and one of them again."""
    expected = reckoned(arrivals)
    line.empty()
    manifests = {day: line.land(day, arrivals.deliveries[day]) for day in arrivals.order}
    results = {day: processed(line, manifests[day], f"run {day}") for day in arrivals.order}
    again = processed(line, manifests[arrivals.again], "again")

    assert again.balances == results[arrivals.again].balances
    flows = [balance for result in results.values() for balance in result.balances]
    assert sum(flow.rows_out for flow in flows) == len(expected.kept)
    assert sum(flow.rows_quarantined for flow in flows) == expected.refused
    assert sum(flow.rows_duplicate for flow in flows) == expected.repeated

    rows = line.rows("processed.transactions")
    assert [(row["event_id"], float(row["amount"])) for row in rows] == sorted(
        (event_id, row["amt"]) for event_id, row in expected.kept.items()
    )
    refused = line.rows("processed.quarantine", "raw_object,raw_position")
    places = Counter((row["raw_object"], row["raw_position"]) for row in refused)
    assert (len(places), set(places.values())) == (expected.refused, {1})
    assert {tuple(row["reasons"]) for row in refused} == {("conflicting_duplicate",)}

    seen.append(uncontested(line, again))
    assert len(seen[-1]["features"]) == len(CLEAN)
    assert seen[-1] == seen[0]


def test_the_stream_was_drawn_more_than_once(seen: list[dict[str, list[str]]]) -> None:
    assert len(seen) == EXAMPLES
