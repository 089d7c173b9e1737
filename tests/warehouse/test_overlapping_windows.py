"""Windows that overlap, in any order of their tasks, end as one after another."""

import random
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from contracts.marts import core, reports
from contracts.stage_results import BuildResult, LoadResult
from expectations.gates import gate_production
from warehouse import load, transform

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("payment_marts")]
_WINDOWS = (
    ("2024-05-01", {date(2024, 5, 1): 12}),
    ("2024-05-01--2024-05-02", {date(2024, 5, 1): 15, date(2024, 5, 2): 12}),
    ("2024-05-02--2024-05-03", {date(2024, 5, 2): 17, date(2024, 5, 3): 12}),
)
"""Windows, and the payments of each date once the window has arrived: some come late."""
_MARTS = tuple(table.name for table in (*core.TABLES, *reports.TABLES))


class _Orders:
    """The DAGs `load_staging` and `build_production` over published windows of a lake.

    Each DAG takes one window at a time, as in Airflow, and pauses after each of its tasks.
    """

    def __init__(self, line: Any) -> None:
        self.line = line
        self.published = [line.lake.publish(*window) for window in _WINDOWS]
        self.loaded: list[LoadResult] = []

    def load(self, window: int) -> Iterator[None]:
        """Run the tasks of `load_staging`."""
        line, run_id = self.line, f"load {window}"
        staged = load.stage(line.lake.catalog, line.loader, *self.published[window], run_id)
        yield
        self.loaded.append(load.swap(line.loader, staged))

    def build(self, loaded: LoadResult) -> Iterator[None]:
        """Run the tasks of `build_production`, whose gate has to be open."""
        settings, window, dates = self.line.settings, loaded.window, loaded.dates
        built = transform.build(settings, window=window, run_id=f"build {window}", dates=dates)
        yield
        assert _disagreements(self.line, built) == []
        yield
        transform.publish(settings, built)

    def one_by_one(self) -> None:
        """Take one window after another through both DAGs."""
        for window in range(len(_WINDOWS)):
            list(self.load(window))
            list(self.build(self.loaded.pop()))

    def at_once(self, chance: random.Random) -> None:
        """Take the windows through both DAGs in a random order of their tasks."""
        waiting = list(range(len(_WINDOWS)))
        chance.shuffle(waiting)
        loading = building = None
        while waiting or self.loaded or loading or building:
            if loading is None and waiting:
                loading = self.load(waiting.pop())
            if building is None and self.loaded:
                building = self.build(self.loaded.pop(chance.randrange(len(self.loaded))))
            if loading and (building is None or chance.random() < 0.5):
                loading = _next(loading)
            elif building:
                building = _next(building)


def _next(tasks: Iterator[None]) -> Iterator[None] | None:
    """Run the next task and return the rest, None after the last one."""
    return tasks if next(tasks, "end") is None else None


def _disagreements(line: Any, built: BuildResult) -> list[str]:
    """Return the comparisons of gate production that fail; other checks know real rows only."""
    dsn = line.settings.warehouse.dsn("transformer")
    result = gate_production(dsn, built, line.settings.state_dir)
    compared = [check for check in result.checks if "equals_" in check.name]
    assert compared
    return [f"{check.name}: {check.observed}" for check in compared if not check.passed]


def _marts(line: Any) -> dict[str, list[Any]]:
    with psycopg.connect(line.settings.warehouse.dsn("transformer")) as connection:
        return {
            name: connection.execute(
                f"select to_jsonb(t)::text from {name} as t order by 1".encode()
            ).fetchall()
            for name in _MARTS
        }


@pytest.fixture(scope="module")
def one_by_one(new_line: Callable[[], Any]) -> dict[str, list[Any]]:
    """Return PRODUCTION after one window after another."""
    line = new_line()
    _Orders(line).one_by_one()
    return _marts(line)


@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_tasks_gives_the_result_of_sequential_windows(
    new_line: Callable[[], Any], one_by_one: dict[str, list[Any]], seed: int
) -> None:
    """Slow: three builds with their gates, and three more for the first seed."""
    line = new_line()
    _Orders(line).at_once(random.Random(seed))
    assert _marts(line) == one_by_one


def test_a_window_loaded_before_the_gate_of_another_does_not_close_it(
    new_line: Callable[[], Any],
) -> None:
    line = new_line()
    line.load("2024-05-01")
    both = "2024-05-01--2024-05-02"
    built = line.build(both)
    line.load("2024-05-02")
    assert _disagreements(line, built) == []
