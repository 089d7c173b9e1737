"""A simulated world in Processed: its quarantine scored against the dirt ledger, and its labels.

Slow, about 45 s: the tests share two windows, and one of them is processed twice.
"""

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

import pytest

from contracts.stage_results import FeedCounts
from simulator.dirt import KINDS, SCHEMA_DRIFT, Kind, Outcome
from simulator.settings import DirtSettings, FraudSettings, Settings
from simulator.world import make_world
from simulator.writers import write_days
from sources.manifest import Manifest
from tests.spark.times import utc

if TYPE_CHECKING:
    from tests.spark.conftest import Line

pytestmark = [pytest.mark.spark, pytest.mark.stack]

_RATE = 0.01
_DAYS = range(20, 23)
_GOAL = 0.99
_BROKEN_LABELS = """\
{"known_at": "2025-01-23T10:00:00Z", "transaction_id": "nobody", "is_fraud": "1", \
"label_source": "analyst"}
{"known_at": "2025-01-23T10:00:00Z", "transaction_id": "nobody", "is_fraud": "2", \
"label_source": "analyst"}
{"known_at": "2025-01-23T10:00:00Z", "transaction_id": "nobody", "is_fraud": "1", \
"label_source": "rumour"}
{"known_at": "yesterday", "transaction_id": "nobody", "is_fraud": "1", "label_source": "analyst"}
{"known_at": "2025-01-23T10:00:00Z", "is_fraud": "1", "label_source": "analyst"}
{"known_at": "2025-01
"""
_Place = tuple[str, int]
"""Name of a file and number of a row in it."""
_Label = tuple[str, str, bool, datetime]
"""Identifier of a payment, who says it, whether it is fraud, and since when that is known."""


@dataclass(frozen=True)
class _Declared:
    """A dirty row as the ledger has it."""

    kind: str
    outcome: Outcome
    reason: str | None


@dataclass(frozen=True)
class _Scored:
    """What the platform did with a window, beside the ledger.

    `outcome` has each row of the files, `reasons` each refused one, `drifted` the files whose rows
    have one more column. `said` are the labels of the files, `payments` the identifiers in
    Processed, `labels` the labels there before and after the first window is processed again, and
    `counts` what became of the labels of each run.
    """

    declared: dict[_Place, _Declared]
    outcome: dict[_Place, Outcome]
    reasons: dict[_Place, list[str]]
    drifted: set[str]
    said: set[_Label]
    payments: set[str]
    labels: tuple[set[_Label], set[_Label]]
    counts: list[FeedCounts]

    def table(self) -> str:
        """Return a line for each kind: its rows by outcome, and how many have the right reason."""
        lines = [f"{'kind':<24}{'declared':<14}{'outcomes':<40}reason as declared"]
        for kind in KINDS:
            places = [place for place, one in self.declared.items() if one.kind == kind.name]
            outcomes = Counter(str(self.outcome[place]) for place in places)
            right = sum(self.declared[p].reason in self.reasons.get(p, [None]) for p in places)
            lines.append(f"{kind.name:<24}{kind.outcome:<14}{dict(outcomes)!s:<40}{right}")
        clean = Counter(
            str(outcome) for place, outcome in self.outcome.items() if place not in self.declared
        )
        lines.append(f"{'(clean)':<24}{Outcome.ACCEPTED:<14}{dict(clean)}")
        return "\n".join(lines)


@pytest.fixture(scope="module")
def scored(line: "Line", tmp_path_factory: pytest.TempPathFactory) -> _Scored:
    """Three days of a small world, landed and processed as two windows; the last two have drifted.

    A hundredth of the rows has each kind, and frauds are ten times as many, so that a few thousand
    rows have enough of all. The labels of the last day have broken rows too.
    """
    folder = tmp_path_factory.mktemp("world")
    dirt = DirtSettings({kind.name: _RATE for kind in KINDS}, schema_drift_day=_DAYS.start + 1)
    settings = Settings(customers=600, start_date=date(2025, 1, 1), dirt=dirt)
    campaigns = {name: 10 * count for name, count in settings.fraud.campaigns.items()}
    world = make_world(replace(settings, fraud=FraudSettings(campaigns)))
    write_days(world, _DAYS, folder, "jsonl", 1, lambda done, rows: None)
    days = [str(world.date(day)) for day in _DAYS]
    said = {
        (one["transaction_id"], one["label_source"], one["is_fraud"] == "1", _at(one["known_at"]))
        for day in days
        for one in map(json.loads, (folder / "labels" / f"{day}.jsonl").read_text().splitlines())
    }
    with (folder / "labels" / f"{days[-1]}.jsonl").open("a") as file:
        file.write(_BROKEN_LABELS)
    first = line.land_folder(f"simulator@{days[0]}--{days[1]}", folder / "payments")
    second = line.land_folder(f"simulator@{days[2]}", folder / "payments")
    counts = [_published(line, first, "first"), _published(line, second, "second")]
    labels = _labels(line)
    counts.append(_published(line, first, "first"))
    objects = (*first.objects, *second.objects)
    names = {item.key: item.name for item in objects}

    def places(table: str, *columns: str) -> dict[_Place, tuple[str, ...]]:
        rows = line.spark.table(f"lake.processed.{table}")
        found = rows.select("raw_object", "raw_position", *columns).collect()
        return {(names[row[0]], row[1]): tuple(row[2:]) for row in found}

    refused, accepted = places("quarantine", "reasons"), places("transactions")
    outcome = {
        (item.name, row): Outcome.QUARANTINED
        if (item.name, row) in refused
        else Outcome.ACCEPTED
        if (item.name, row) in accepted
        else Outcome.DEDUPLICATED
        for item in objects
        for row in range(item.rows or 0)
    }
    assert len(refused) + len(accepted) <= len(outcome)
    payments = line.spark.table("lake.processed.transactions").select("event_id").collect()
    entries = [
        json.loads(text)
        for path in sorted((folder / "dirt").iterdir())
        for text in path.read_text().splitlines()
    ]
    return _Scored(
        {
            (entry["file"], entry["row"]): _Declared(
                entry["kind"], Outcome(entry["outcome"]), entry["reason"]
            )
            for entry in entries
            if entry["row"] is not None
        },
        outcome,
        {place: list(values[0]) for place, values in refused.items()},
        {entry["file"] for entry in entries if entry["kind"] == SCHEMA_DRIFT.name},
        said,
        {row["event_id"] for row in payments},
        (labels, _labels(line)),
        counts,
    )


def _published(line: "Line", manifest: Manifest, run_id: str) -> FeedCounts:
    from lake.publish import publish

    return publish(line.spark, line.process(manifest, run_id)).label_feed


def _labels(line: "Line") -> set[_Label]:
    rows = line.spark.table("lake.processed.labels").collect()
    found = {(r["event_id"], r["label_source"], r["is_fraud"], utc(r["known_at"])) for r in rows}
    assert len(found) == len(rows)
    return found


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_quarantine_has_the_rows_of_the_ledger_and_no_others(scored: _Scored) -> None:
    refused = {place for place, one in scored.outcome.items() if one is Outcome.QUARANTINED}
    declared = {
        place for place, one in scored.declared.items() if one.outcome is Outcome.QUARANTINED
    }
    both = len(refused & declared)
    precision, recall = both / len(refused), both / len(declared)
    assert precision >= _GOAL, f"precision {precision:.3f}\n{scored.table()}"
    assert recall >= _GOAL, f"recall {recall:.3f}\n{scored.table()}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_has_its_declared_outcome_and_reason(scored: _Scored, kind: Kind) -> None:
    places = [place for place, one in scored.declared.items() if one.kind == kind.name]
    assert len(places) >= 10
    as_declared = [place for place in places if scored.outcome[place] is kind.outcome]
    assert len(as_declared) >= _GOAL * len(places), scored.table()
    if kind.outcome is Outcome.QUARANTINED:
        right = [p for p in as_declared if scored.declared[p].reason in scored.reasons[p]]
        assert len(right) >= _GOAL * len(places), scored.table()


def test_rows_with_one_more_column_are_accepted(scored: _Scored) -> None:
    assert len(scored.drifted) == len(_DAYS) - 1
    clean = [
        outcome
        for place, outcome in scored.outcome.items()
        if place[0] in scored.drifted and place not in scored.declared
    ]
    assert set(clean) == {Outcome.ACCEPTED}


def test_labels_come_in_later_files_and_refer_to_payments_of_earlier_days(scored: _Scored) -> None:
    reported = {one for one in scored.labels[0] if one[1] != "unreported"}
    assert reported == {one for one in scored.said if one[0] in scored.payments}
    assert len(reported) > 20
    first, second, again = scored.counts
    assert first == again
    assert second.labels > 5
    assert first.labels + second.labels == len(reported)
    assert first.unreadable == 0
    assert second.unreadable == 5
    without_payment = len(scored.said) - len(reported) + 1
    assert first.without_payment + second.without_payment == without_payment
    assert second.rows == second.labels + second.unreadable + second.without_payment


def test_a_payment_that_nobody_reports_within_a_week_is_genuine(scored: _Scored) -> None:
    unreported = {one[0]: one for one in scored.labels[0] if one[1] == "unreported"}
    reported = {one[0] for one in scored.labels[0] if one[1] != "unreported"}
    assert unreported.keys() == scored.payments - reported
    assert not any(is_fraud for _, _, is_fraud, _ in unreported.values())


def test_a_window_that_is_processed_again_has_the_same_labels(scored: _Scored) -> None:
    before, after = scored.labels
    assert before == after
