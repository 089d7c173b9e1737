"""Raw to Processed on the test platform: one lake, window after window, in the order below."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from contracts.stage_results import ProcessResult
from contracts.tables import TABLES, zone
from contracts.windows import Window
from contracts.withdrawals import Withdrawal, WithdrawalKind
from sources import registry
from sources.discover import Delivery
from sources.land import land_feedback
from sources.manifest import Manifest, find_latest
from sources.rules import Instant, TimePattern
from sources.store import s3_client
from tests.spark.times import utc

if TYPE_CHECKING:
    from tests.spark.conftest import Line

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.random_order(disabled=True),
]

DAY_A: list[dict[str, Any]] = [
    {"trans_num": "a1"},
    {"trans_num": "a2", "amt": 10.5, "is_fraud": 1, "category": "misc_net"},
    {"trans_num": "a2", "amt": 10.5, "is_fraud": 1, "category": "misc_net"},
    {"trans_num": "a1", "amt": 99.0},
    {"trans_num": "a3", "amt": -7.25},
    {"trans_num": "a4", "amt": 250000.0},
    {"trans_num": None, "amt": 3.0},
    {"trans_num": "a5", "trans_date": "2031-01-01"},
    {"trans_num": "a6", "amt": None},
    {"trans_num": "a7", "is_fraud": 2, "acct_num": "111", "merchant": "fraud_Other"},
]
DAY_B: list[dict[str, Any]] = [
    {"trans_num": "b1", "trans_date": "2019-01-06"},
    {"trans_num": "a2", "amt": 10.5, "is_fraud": 1, "category": "misc_net"},
    {"trans_num": "a1", "amt": 1.0},
    {"trans_num": "late", "trans_time": "05:00:00", "amt": 2.0},
]
PROCESSED = [table.name for table in zone("processed")]


@dataclass
class Story:
    """What happened so far, for the tests that come after."""

    first: Manifest
    audited: ProcessResult
    second: Manifest | None = None


def content(line: "Line") -> dict[str, str]:
    """Return a digest of the published rows of each table."""
    digests = {}
    for name in PROCESSED:
        frame = line.spark.table(f"lake.{name}").selectExpr("to_json(struct(*)) AS row")
        rows = sorted(row["row"] for row in frame.collect())
        digests[name] = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    return digests


def published(line: "Line", result: ProcessResult) -> ProcessResult:
    from lake.publish import publish

    return publish(line.spark, result)


def written(line: "Line", table: str, result: ProcessResult) -> int:
    """Return the number of rows that the last commit of a run wrote to a table."""
    (row,) = line.spark.sql(
        f"SELECT summary['added-records'] AS rows FROM lake.{table}.snapshots"
        f" WHERE snapshot_id = {result.snapshots[table]}"
    ).collect()
    return int(row["rows"] or 0)


@pytest.fixture(scope="module")
def story(line: "Line") -> Story:
    first = line.land("2019-01-05", DAY_A)
    return Story(first, line.process(first, "manual__2019-01-05T00:00:00+00:00"))


def test_every_row_and_cent_is_accounted_for(story: Story) -> None:
    (balance,) = story.audited.balances

    assert (balance.rows_in, balance.rows_out) == (10, 3)
    assert (balance.rows_quarantined, balance.rows_duplicate) == (6, 1)
    amounts = pd.Series([{"amt": 84.37, **row}["amt"] for row in DAY_A], dtype=float)
    assert balance.amount_in == Decimal(str(round(amounts.sum(), 2)))
    assert balance.amount_duplicate == Decimal("10.50")
    assert story.audited.reasons == {
        "absurd_amount": 1,
        "conflicting_duplicate": 1,
        "future_time": 1,
        "missing_event_id": 1,
        "negative_amount": 1,
        "unreadable_amount": 1,
    }
    assert story.audited.dates == (date(2019, 1, 5),)
    assert ProcessResult.from_dict(story.audited.to_dict()) == story.audited


def test_an_audit_branch_is_not_seen_until_it_is_published(line: "Line", story: Story) -> None:
    from lake.frames import audit_frame

    assert all(line.spark.table(f"lake.{name}").isEmpty() for name in PROCESSED)
    assert audit_frame(line.spark, story.audited, "processed.transactions").count() == 3

    result = published(line, story.audited)

    assert result.branch is None
    assert result.snapshots == story.audited.snapshots
    assert len(line.rows("processed.transactions")) == 3
    refs = line.spark.sql("SELECT name FROM lake.processed.transactions.refs").collect()
    assert [row["name"] for row in refs] == ["main"]
    assert published(line, story.audited) == result, "publishing again changes nothing"


def test_tables_are_what_the_contracts_declare(line: "Line", story: Story) -> None:
    from contracts.render.to_spark import dtypes

    for name in PROCESSED:
        described = line.spark.table(f"lake.{name}")
        assert described.dtypes == dtypes(TABLES[name])
        required = {field.name for field in described.schema if not field.nullable}
        assert required == {c for c in TABLES[name].column_names if not TABLES[name].is_nullable(c)}


def test_refused_rows_name_their_object_position_and_reason(line: "Line", story: Story) -> None:
    rows = line.rows("processed.quarantine", "raw_position")

    assert [(row["raw_position"], row["reasons"]) for row in rows] == [
        (3, ["conflicting_duplicate"]),
        (4, ["negative_amount"]),
        (5, ["absurd_amount"]),
        (6, ["missing_event_id"]),
        (7, ["future_time"]),
        (8, ["unreadable_amount"]),
    ]
    (item,) = story.first.objects
    assert {row["raw_object"] for row in rows} == {item.key}
    assert rows[1]["amount"] == Decimal("-7.25")


def test_labels_and_parties_come_from_accepted_rows_only(line: "Line", story: Story) -> None:
    labels = line.rows("processed.labels")
    assert [(row["event_id"], row["is_fraud"]) for row in labels] == [("a1", False), ("a2", True)]
    assert len(line.rows("processed.customers", "customer_id")) == 2
    merchants = line.rows("processed.merchants", "counterparty_id")
    assert [row["counterparty_id"] for row in merchants] == [
        "Other",
        "Schaefer, McGlynn and Bosco",
    ]


def test_a_later_window_adds_late_rows_and_removes_none(line: "Line", story: Story) -> None:
    """Slow: the job runs some fifty Spark queries, whose planning takes seconds on small data."""
    story.second = line.land("2019-01-06", DAY_B)

    result = line.process(story.second, "second")

    (balance,) = result.balances
    assert (balance.rows_out, balance.rows_duplicate, balance.rows_quarantined) == (2, 1, 1)
    assert result.reasons == {"conflicting_duplicate": 1}
    assert result.dates == (date(2019, 1, 5), date(2019, 1, 6))
    published(line, result)
    rows = line.rows("processed.transactions")
    assert [row["event_id"] for row in rows] == ["a1", "a2", "a7", "b1", "late"]
    assert rows[0]["amount"] == Decimal("84.37")
    assert len(line.rows("processed.quarantine", "raw_position")) == 7
    assert result.delivered_dates == (date(2019, 1, 6),)
    assert written(line, "processed.quarantine", result) == 1, "those of the first day stay"
    for table in ("processed.customers", "processed.merchants"):
        assert (written(line, table, result), line.spark.table(f"lake.{table}").count()) == (1, 2)


def test_the_same_window_twice_at_once_is_published_once_and_gives_the_same(
    line: "Line", story: Story
) -> None:
    """Slow: runs the job twice."""
    from lake.publish import PublishConflictError

    before = content(line)
    one = line.process(story.first, "one")
    other = line.process(story.first, "other")
    assert one.balances == other.balances == story.audited.balances
    assert written(line, "processed.customers", one) == 0, "what is known is not written again"

    published(line, one)
    assert content(line) == before
    with pytest.raises(PublishConflictError, match="run the stage process again"):
        published(line, other)
    assert content(line) == before


def test_a_refused_run_leaves_no_branch(line: "Line", story: Story) -> None:
    """Slow: runs the job once more."""
    from lake.publish import discard

    before = content(line)
    # It lost against another run above; running it again replaces its branch.
    again = line.process(story.first, "other")
    assert again.balances == story.audited.balances
    discard(line.spark, again)

    assert content(line) == before
    refs = line.spark.sql("SELECT name FROM lake.processed.labels.refs").collect()
    assert [row["name"] for row in refs] == ["main"]


def test_raw_that_gate_raw_would_refuse_is_not_processed(line: "Line", story: Story) -> None:
    from spark.jobs.raw import RawUnfitError

    manifest = line.land("2019-02-01", [{"trans_num": "x", "amt": True}])

    with pytest.raises(RawUnfitError, match=r"2019-02-01\.parquet: .*amt is boolean instead of"):
        line.process(manifest, "unfit")


def test_a_column_that_became_text_is_checked_row_by_row(line: "Line", story: Story) -> None:
    """Slow: runs the job on another window."""
    rows = [{"trans_num": f"t{n}", "amt": text} for n, text in enumerate(["12.50", "12,50", "abc"])]
    manifest = line.land("2019-06-05", [{**row, "trans_date": "2019-06-05"} for row in rows])

    result = line.process(manifest, "text")

    (balance,) = result.balances
    assert (balance.rows_out, balance.amount_in) == (1, Decimal("12.50"))
    assert result.reasons == {"unreadable_amount": 2}


def test_payments_that_a_mended_mapping_dates_otherwise_leave_their_old_dates(
    line: "Line", story: Story
) -> None:
    """Slow: runs the jobs process and prepare twice."""
    from spark.jobs.prepare import prepare

    def dates_of(table: str) -> dict[str, date]:
        rows = line.spark.table(f"lake.{table}").filter("event_id like 'moved%'").collect()
        return {row["event_id"]: row["event_date"] for row in rows}

    manifest = line.land("2019-03-04", [{"trans_num": "moved1", "trans_date": "2019-03-04"}])
    tables = ("processed.transactions", "processed.labels", "sandbox.features")
    published(line, prepare(line.spark, published(line, line.process(manifest, "was")), run_id="1"))
    assert [dates_of(table) for table in tables] == [{"moved1": date(2019, 3, 4)}] * 3
    sparkov = registry.SOURCES["sparkov"]
    first, *others = sparkov.versions
    day_first = Instant(("trans_date", "trans_time"), (TimePattern("yyyy-dd-MM HH:mm:ss"),))
    mended = replace(first, mapping={**first.mapping, "event_at": day_first})

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.SOURCES, "sparkov", replace(sparkov, versions=(mended, *others)))
        result = published(line, line.process(manifest, "mended"))
    prepared = published(line, prepare(line.spark, result, run_id="2"))

    assert result.dates == (date(2019, 3, 4), date(2019, 4, 3))
    assert set(result.dates) <= set(prepared.dates)
    assert [dates_of(table) for table in tables] == [{"moved1": date(2019, 4, 3)}] * 3


def test_a_quarantine_of_an_earlier_version_is_partitioned_before_a_run(
    line: "Line", story: Story
) -> None:
    """Slow: runs the job twice."""
    name = "lake.processed.quarantine"
    expected = line.rows("processed.quarantine", "raw_object,raw_position")
    line.spark.table(name).drop("delivered_date").writeTo("lake.processed.old").create()
    line.spark.table("lake.processed.old").writeTo(name).using("iceberg").createOrReplace()
    line.spark.sql("DROP TABLE lake.processed.old PURGE")
    assert "delivered_date" not in line.spark.table(name).columns

    result = published(line, line.process(story.first, "upgraded"))

    assert line.rows("processed.quarantine", "raw_object,raw_position") == expected
    assert result.balances == story.audited.balances
    assert written(line, "processed.quarantine", result) == 6
    (partitions,) = line.spark.sql(f"SELECT count(*) FROM {name}.partitions").collect()
    assert partitions[0] > 1


def test_a_corrected_delivery_brings_labels_and_changes_no_payment(
    line: "Line", story: Story
) -> None:
    """Slow: two runs of the job."""
    labels = {row["event_id"]: row for row in line.rows("processed.labels")}
    payments = line.rows("processed.transactions")
    corrected = line.land(
        "2019-01-06",
        [
            {**row, "amt": 9.0} if row["trans_num"] == "late" else {**row, "is_fraud": 1}
            for row in DAY_B
        ],
    )

    result = line.process(corrected, "corrected")

    (balance,) = result.balances
    assert (balance.rows_out, balance.rows_duplicate, balance.rows_quarantined) == (0, 2, 2)
    assert result.reasons == {"conflicting_duplicate": 2}
    assert result.dates == (date(2019, 1, 6),), "the other label is the same as before"
    published(line, result)
    assert line.rows("processed.transactions") == payments
    now = line.rows("processed.labels", "event_id,known_at")
    assert len(now) == len(labels) + 1
    before, after = (row for row in now if row["event_id"] == "b1")
    assert before == labels["b1"]
    (delivery,) = corrected.objects
    assert (after["is_fraud"], after["raw_object"]) == (True, delivery.key)
    assert utc(after["known_at"]) == delivery.landed_at > utc(before["known_at"])

    stored = content(line)
    published(line, line.process(corrected, "corrected again"))
    assert content(line) == stored


def test_what_is_withdrawn_leaves_processed_and_comes_back(line: "Line", story: Story) -> None:
    """Slow: three runs of the job."""
    before = content(line)
    gone = {"late", "a7"}
    remaining = {row["event_id"] for row in line.rows("processed.transactions")} - gone
    withdrawals = (
        Withdrawal("sparkov", WithdrawalKind.PAYMENT, "late"),
        Withdrawal("sparkov", WithdrawalKind.MERCHANT, "Other"),
        Withdrawal("sparkov", WithdrawalKind.PAYMENT, "a3"),
        Withdrawal("handbook", WithdrawalKind.PAYMENT, "a1"),
    )

    result = line.process(story.first, "withdrawn", withdrawals)

    (balance,) = result.balances
    assert (balance.rows_out, balance.rows_quarantined, balance.rows_duplicate) == (2, 7, 1)
    assert result.reasons == {**story.audited.reasons, "withdrawn": 1}
    assert (result.withdrawn, result.dates) == (2, (date(2019, 1, 5),))
    published(line, result)
    for table in ("processed.transactions", "processed.labels"):
        assert {row["event_id"] for row in line.rows(table)} == remaining, table
    assert len(line.rows("processed.customers", "customer_id")) == 1
    merchants = line.rows("processed.merchants", "counterparty_id")
    assert [row["counterparty_id"] for row in merchants] == ["Schaefer, McGlynn and Bosco"]
    refused = {
        row["event_id"]: row
        for row in line.rows("processed.quarantine", "raw_position")
        if row["reasons"] == ["withdrawn"]
    }
    assert refused.keys() == gone
    assert refused["late"]["amount"] == Decimal("2.00")
    assert refused["late"]["delivered_date"] == date(2019, 1, 6), "that of its own delivery"

    published(line, line.process(story.first, "undone"))
    published(line, line.process(story.second, "undone too"))
    assert content(line) == before


def test_feedback_of_analysts_becomes_labels_of_the_payments_that_landed(
    line: "Line", tmp_path: Path
) -> None:
    """Slow: two runs of the job."""
    day = date(2019, 2, 5)
    line.land(day.isoformat(), [{"trans_num": n, "trans_date": str(day)} for n in ("c1", "c2")])
    known = ("2019-02-11T08:00:00.000007Z", "2019-02-12T08:00:00.000000Z")
    said = [("c1", 1, known[0]), ("c1", 0, known[1]), ("never landed", 1, known[0])]
    path = tmp_path / f"{day}.jsonl"
    names = ("transaction_id", "is_fraud", "known_at", "label_source")
    path.write_text(
        "".join(json.dumps(dict(zip(names, (*one, "analyst"), strict=True))) + "\n" for one in said)
    )
    window = Window.of("sparkov", day.isoformat())
    client, bucket = s3_client(line.settings, "lander"), line.settings.s3.raw_bucket
    land_feedback(window, client, bucket, [Delivery(path)], run_id="land")
    manifest = find_latest(client, bucket, window)

    result = published(line, line.process(manifest, "with feedback"))

    assert (result.dates, result.label_feed.rows) == ((day,), 0)
    labels = [row for row in line.rows("processed.labels") if row["event_date"] == day]
    assert [(row["event_id"], row["label_source"]) for row in labels].count(("c2", "truth")) == 1
    by_analysts = {
        utc(row["known_at"]): (row["event_id"], row["is_fraud"])
        for row in labels
        if row["label_source"] == "analyst"
    }
    times = [datetime.fromisoformat(one) for one in known]
    assert by_analysts == {times[0]: ("c1", True), times[1]: ("c1", False)}

    stored = content(line)
    published(line, line.process(manifest, "with feedback again"))
    assert content(line) == stored
