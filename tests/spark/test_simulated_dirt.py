"""The quarantine scored against the dirt ledger of a simulated world.

Slow, about 20 s: one window of three days is landed and processed for all tests of this module.
"""

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from simulator.dirt import KINDS, SCHEMA_DRIFT, Kind, Outcome
from simulator.settings import DirtSettings, Settings
from simulator.world import make_world
from simulator.writers import write_days

if TYPE_CHECKING:
    from tests.spark.conftest import Line

pytestmark = [pytest.mark.spark, pytest.mark.stack]

_RATE = 0.01
_DAYS = range(20, 23)
_GOAL = 0.99
_Place = tuple[str, int]
"""Name of a file and number of a row in it."""


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
    have one more column.
    """

    declared: dict[_Place, _Declared]
    outcome: dict[_Place, Outcome]
    reasons: dict[_Place, list[str]]
    drifted: set[str]

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
    """Three days of a small world, landed and processed as one window; the last two have drifted.

    A hundredth of the rows has each kind, so that a few thousand rows have enough of all.
    """
    from lake.publish import publish

    folder = tmp_path_factory.mktemp("world")
    dirt = DirtSettings({kind.name: _RATE for kind in KINDS}, schema_drift_day=_DAYS.start + 1)
    settings = replace(Settings(customers=600, start_date=date(2025, 1, 1)), dirt=dirt)
    world = make_world(settings)
    write_days(world, _DAYS, folder, "jsonl", 1, lambda done, rows: None)
    window = f"simulator@{world.date(_DAYS.start)}--{world.date(_DAYS.stop - 1)}"
    manifest = line.land_folder(window, folder / "payments")
    publish(line.spark, line.process(manifest, "score"))
    names = {item.key: item.name for item in manifest.objects}

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
        for item in manifest.objects
        for row in range(item.rows or 0)
    }
    assert len(refused) + len(accepted) <= len(outcome)
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
    )


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
