"""Quarantined rows tried again, on the test platform: one lake, one story, in the order below."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from contracts.reasons import DESCRIPTIONS, RejectReason
from contracts.results import Balance
from contracts.stage_results import ProcessResult, RedrivenResult
from contracts.tables import zone
from sources import registry
from sources.manifest import Manifest
from tests.spark.times import utc

if TYPE_CHECKING:
    from tests.spark.conftest import Line

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.random_order(disabled=True),
]

DAY: list[dict[str, Any]] = [
    {"trans_num": "a1", "amt": "84.37"},
    {"trans_num": "new", "amt": "10.00", "category": "pets"},
    {"trans_num": "a1", "amt": "84.38"},
    {"trans_num": "twin", "amt": "20.00", "category": "pets"},
    {"trans_num": "twin", "amt": "20.00", "category": "pets"},
    {"trans_num": "late", "amt": "5.00", "category": "pets", "trans_date": "2019-01-04"},
    {"trans_num": "both", "amt": "-1.00", "category": "pets"},
    {"trans_num": "minus", "amt": "-7.25"},
    {"trans_num": "text", "amt": "abc"},
]
PROCESSED = [table.name for table in zone("processed")]


@dataclass
class Story:
    """The window as it was processed, and as its last redrive left it."""

    manifest: Manifest
    processed: ProcessResult
    redriven: RedrivenResult

    @property
    def landed_at(self) -> datetime:
        """Return when the delivery came in."""
        return self.manifest.objects[0].landed_at


@contextmanager
def pets_are_a_category() -> Iterator[None]:
    """Mend the declaration of the source: its list of categories lacked one."""
    declared = registry.SOURCES["sparkov"]
    known = declared.codes["merchant_category"]
    codes = {**declared.codes, "merchant_category": (*known, "pets")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.SOURCES, "sparkov", replace(declared, codes=codes))
        yield


def given(line: "Line", manifest: Manifest) -> dict[str, Any]:
    return {
        "manifests": [manifest],
        "raw_bucket": line.settings.s3.raw_bucket,
        "key_file": line.settings.pseudonym_key_file,
    }


def redrive(line: "Line", story: Story, run_id: str, *reasons: str) -> RedrivenResult:
    from spark.jobs.redrive import redrive as job

    where = given(line, story.manifest)
    return job(line.spark, story.redriven, reasons=reasons, run_id=run_id, **where)


def published(line: "Line", audited: RedrivenResult) -> RedrivenResult:
    from lake.publish import publish

    return publish(line.spark, audited)


def failed_checks(line: "Line", result: RedrivenResult, manifest: Manifest) -> list[str]:
    """Return the critical checks that the gate finds failed."""
    from expectations.gates import gate_processed

    gate = gate_processed(line.spark, result, [manifest], line.folder)
    return [c.name for c in gate.checks if not c.passed and c.severity == "critical"]


def content(line: "Line", *without: str) -> dict[str, list[dict[str, Any]]]:
    """Return the published rows of each table."""
    contents = {}
    for name in PROCESSED:
        rows = [row.asDict() for row in line.spark.table(f"lake.{name}").collect()]
        kept = ({k: v for k, v in row.items() if k not in without} for row in rows)
        contents[name] = sorted(kept, key=repr)
    return contents


def refs(line: "Line") -> set[str]:
    query = " union ".join(f"select name from lake.{name}.refs" for name in PROCESSED)
    return {row["name"] for row in line.spark.sql(query).collect()}


@pytest.fixture(scope="module")
def story(line: "Line") -> Story:
    # Many good rows, so that the bad ones are what a gate lets through.
    good = [
        {"trans_num": f"g{n}", "amt": "1.00", "trans_time": f"{n % 24:02}:10:00"}
        for n in range(200)
    ]
    manifest = line.land("2019-01-05", [*DAY, *good])
    result = published(line, line.process(manifest, "first"))
    return Story(manifest, result, result)


def test_a_refused_row_says_by_which_rule(line: "Line", story: Story) -> None:
    rows = line.rows("processed.quarantine", "raw_position")
    assert [(row["raw_position"], row["reasons"], row["rules"]) for row in rows] == [
        (
            position,
            reasons,
            [
                DESCRIPTIONS[RejectReason(reason)]
                + (": merchant_category" if reason == "unknown_code" else "")
                for reason in reasons
            ],
        )
        for position, reasons in [
            (1, ["unknown_code"]),
            (2, ["conflicting_duplicate"]),
            (3, ["unknown_code"]),
            (4, ["unknown_code"]),
            (5, ["unknown_code"]),
            (6, ["negative_amount", "unknown_code"]),
            (7, ["negative_amount"]),
            (8, ["unreadable_amount"]),
        ]
    ]
    assert {(row["redrive_count"], row["redrive_run_id"]) for row in rows} == {(0, None)}
    assert {utc(row["first_seen_at"]) for row in rows} == {story.landed_at}


def test_a_rehearsal_says_what_would_happen_and_writes_nothing(line: "Line", story: Story) -> None:
    """Slow: the dry run reads and checks the whole delivery in Spark."""
    from spark.jobs.redrive import rehearse

    before = content(line), refs(line)
    with pets_are_a_category():
        outcomes = rehearse(line.spark, story.redriven, **given(line, story.manifest))
    assert [
        (o.reasons, o.rows, o.amount, o.verdict, o.reasons_now, o.amount_now) for o in outcomes
    ] == [
        (("conflicting_duplicate",), 1, *again("84.38", "conflicting_duplicate")),
        (("negative_amount",), 1, *again("-7.25", "negative_amount")),
        (("negative_amount", "unknown_code"), 1, *again("-1.00", "negative_amount")),
        (("unknown_code",), 3, Decimal("35.00"), "accepted", (), Decimal("35.00")),
        (("unknown_code",), 1, Decimal("20.00"), "duplicate", (), Decimal("20.00")),
        (("unreadable_amount",), 1, *again("0.00", "unreadable_amount")),
    ]
    assert str(outcomes[3]) == (
        "unknown_code: 3 rows would pass, worth 35.00 USD (in quarantine 35.00 USD)"
    )
    assert (content(line), refs(line)) == before


def again(amount: str, reason: str) -> tuple[Any, ...]:
    return Decimal(amount), "quarantined", (reason,), Decimal(amount)


def test_killed_in_mid_write_nothing_has_moved(
    line: "Line", story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow: a redrive reads the delivery again and writes all tables of Processed."""
    from spark.jobs import batch

    before, write = content(line), batch.write

    def write_and_die(df: Any, table: str, *rest: Any) -> None:
        write(df, table, *rest)
        if table == "processed.transactions":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pets_are_a_category():
        patch.setattr(batch, "write", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            redrive(line, story, "second", "unknown_code")
    assert content(line) == before


def test_rows_that_pass_now_move_and_nothing_counts_twice(line: "Line", story: Story) -> None:
    """Slow: a whole redrive, and the gate of Processed in Spark."""
    before = content(line)
    with pets_are_a_category():
        audited = redrive(line, story, "second", "unknown_code")
        assert failed_checks(line, audited, story.manifest) == []
        story.redriven = published(line, audited)

    (first,), (now,) = story.processed.balances, story.redriven.balances
    assert now == replace(
        first,
        rows_out=first.rows_out + 3,
        rows_duplicate=first.rows_duplicate + 1,
        rows_quarantined=first.rows_quarantined - 4,
        amount_out=first.amount_out + Decimal("35.00"),
        amount_duplicate=first.amount_duplicate + Decimal("20.00"),
        amount_quarantined=first.amount_quarantined - Decimal("55.00"),
    )
    assert story.redriven.stage == "process"
    assert story.redriven.dates == (date(2019, 1, 4), date(2019, 1, 5))
    assert story.redriven.reasons == {
        "conflicting_duplicate": 1,
        "negative_amount": 2,
        "unreadable_amount": 1,
    }
    (moved,) = story.redriven.redrive.balances
    assert (moved.rows_in, moved.rows_out, moved.rows_duplicate, moved.rows_quarantined) == (
        *(5, 3, 1, 1),
    )
    after = content(line)
    new = [row for row in after["processed.transactions"] if row["event_id"] in EVENTS]
    assert [row["event_id"] for row in new] == EVENTS
    assert [row for row in after["processed.transactions"] if row not in new] == (
        before["processed.transactions"]
    ), "the rows beside them are untouched"
    labelled = {row["event_id"] for row in after["processed.labels"]}
    assert labelled == {row["event_id"] for row in after["processed.transactions"]}


EVENTS = ["late", "new", "twin"]


def test_what_fails_again_stays_with_its_history(line: "Line", story: Story) -> None:
    rows = line.rows("processed.quarantine", "raw_position")
    assert [
        (row["raw_position"], row["reasons"], row["redrive_count"], row["redrive_run_id"])
        for row in rows
    ] == [
        (2, ["conflicting_duplicate"], 0, None),
        (6, ["negative_amount"], 1, "second"),
        (7, ["negative_amount"], 0, None),
        (8, ["unreadable_amount"], 0, None),
    ]
    assert {utc(row["first_seen_at"]) for row in rows} == {story.landed_at}


def test_a_second_redrive_moves_nothing(line: "Line", story: Story) -> None:
    """Slow: a whole redrive."""
    from spark.jobs.redrive import NothingToRedriveError

    before, balances = content(line, "redrive_count", "redrive_run_id"), story.redriven.balances
    with pets_are_a_category():
        with pytest.raises(NothingToRedriveError, match="in quarantine for unknown_code"):
            redrive(line, story, "third", "unknown_code")
        story.redriven = published(line, redrive(line, story, "third"))
    assert story.redriven.balances == balances
    assert content(line, "redrive_count", "redrive_run_id") == before
    tried = [row["redrive_count"] for row in line.rows("processed.quarantine", "raw_position")]
    assert tried == [1, 2, 1, 1]


def test_the_same_run_again_counts_no_second_try(line: "Line", story: Story) -> None:
    """Slow: a whole redrive."""
    before = content(line)
    with pets_are_a_category():
        published(line, redrive(line, story, "third"))
    assert content(line) == before


def test_processing_the_window_again_gives_what_the_redrive_gave(
    line: "Line", story: Story
) -> None:
    """Slow: the job of the stage process, on the whole window."""
    before = content(line)
    with pets_are_a_category():
        result = published(line, line.process(story.manifest, "whole"))
    assert result.balances == story.redriven.balances
    assert (result.dates, result.reasons) == (
        story.redriven.dates,
        story.redriven.reasons,
    )
    assert content(line) == before


def test_money_that_could_not_be_read_is_restated(line: "Line", story: Story) -> None:
    """The mapping is mended: the amount of the row stands in another column.

    Slow: a whole redrive, and the gate of Processed in Spark.
    """
    from sources.rules import Take

    with pets_are_a_category():
        declared = registry.SOURCES["sparkov"]
    first, *others = declared.versions
    mended = replace(
        declared,
        versions=(replace(first, mapping={**first.mapping, "amount": Take("city_pop")}), *others),
        absurd_amount=Decimal("2000000.00"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.SOURCES, "sparkov", mended)
        audited = redrive(line, story, "mended", "unreadable_amount")
        assert failed_checks(line, audited, story.manifest) == []
        moved = audited.redrive

    (balance,) = audited.balances
    worth = Decimal("1737737.00")
    (before,) = story.redriven.balances
    assert balance == replace(
        before,
        rows_out=before.rows_out + 1,
        rows_quarantined=before.rows_quarantined - 1,
        amount_out=before.amount_out + worth,
        amount_restated=worth,
    )
    assert moved.balances == (
        Balance("sparkov", "USD", 1, 1, amount_out=worth, amount_restated=worth),
    )


def test_a_quarantine_that_another_run_has_changed_is_not_redriven(
    line: "Line", story: Story
) -> None:
    from spark.jobs.redrive import QuarantineMovedError

    stale = replace(story, redriven=story.processed)
    message = r"has 4 rows .* recorded 8.*process_transactions"
    with pytest.raises(QuarantineMovedError, match=message):
        redrive(line, stale, "stale")
