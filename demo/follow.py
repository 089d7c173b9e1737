"""Start windows and follow them from DAG to DAG, with a line for each stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from rich.console import Console

from contracts.assets import DAG_OF_STAGE
from contracts.stages import Stage
from contracts.windows import Window
from demo.airflow import AirflowClient, DagRun

_CHAIN: Final = (
    Stage.LAND,
    Stage.PROCESS,
    Stage.PREPARE,
    Stage.LOAD,
    Stage.BUILD,
    Stage.SCORE,
)
_LONGEST_STAGE_SECONDS: Final = 900.0
# Airflow starts the next DAG within a second, except while it parses the files for the first time.
_LONGEST_HOP_SECONDS: Final = 60.0
_WORK_DONE: Final = {Stage.SCORE: "publish"}
"""Stages whose window is complete before their last tasks end."""
# Scheduled runs would request days that the sample does not have.
_SCHEDULED: Final = (Stage.LAND, Stage.TRAIN)
_DAGS_APPEAR_SECONDS: Final = 90.0


class StageFailedError(RuntimeError):
    """Raised with the message of a failed stage."""


@contextmanager
def unpaused(client: AirflowClient) -> Iterator[None]:
    """Unpause all DAGs; afterwards pause those with a schedule."""
    missing = set(DAG_OF_STAGE.values())
    deadline = time.monotonic() + _DAGS_APPEAR_SECONDS
    while missing := missing - client.known_dags():
        if time.monotonic() > deadline:
            raise StageFailedError(
                f"Airflow has not read {', '.join(sorted(missing))}:"
                " look at `make logs SERVICE=airflow-dag-processor`."
            )
        time.sleep(0.5)
    for dag_id in DAG_OF_STAGE.values():
        client.pause(dag_id, paused=False)
    try:
        yield
    finally:
        for stage in _SCHEDULED:
            client.pause(DAG_OF_STAGE[stage], paused=True)


class Spoken:
    """A status line that can be updated."""

    def __init__(self, activity: str) -> None:
        """Create a line for `activity`."""
        self._activity = activity
        self._began = time.monotonic()
        self.update: Callable[[str], None] | None = None

    def __call__(self, detail: str) -> None:
        """Add a detail and the seconds so far."""
        if self.update is not None:
            seconds = time.monotonic() - self._began
            self.update(f"{self._activity}  {detail}  {seconds:.0f} s")


@dataclass
class Line:
    """The pipeline from land to score, with status output."""

    client: AirflowClient
    console: Console
    runs: list[DagRun] = field(default_factory=list)

    def window(self, window: Window, last: Stage = Stage.SCORE) -> bool:
        """Land a window and follow it to stage `last`; return whether it was not skipped."""
        began = time.monotonic()
        since = datetime.now(UTC) - timedelta(seconds=2)
        run = self.client.trigger(DAG_OF_STAGE[Stage.LAND], window)
        done = True
        for stage in _CHAIN[: _CHAIN.index(last) + 1]:
            if stage is not Stage.LAND:
                run = self._started(stage, window, since)
            done = self._followed(stage, run, window)
        seconds = time.monotonic() - began
        until = "the line" if last is Stage.SCORE else f"to {DAG_OF_STAGE[last]}"
        self.console.print(f"{seconds:6.1f} s  window {window.key} is through {until}")
        return done

    def by_hand(self, stage: Stage, window: Window) -> bool:
        """Trigger one stage for a window and follow it; return whether it was not skipped."""
        return self._followed(stage, self.client.trigger(DAG_OF_STAGE[stage], window), window)

    def finish(self) -> None:
        """Wait for the tasks after the last stage: docs and run marts.

        Raises:
            StageFailedError: when one of them failed, which Airflow does not count as a failed run.
        """
        with self._busy("docs and run marts") as show:
            for run in self.runs:
                show(run.dag_id)
                self._until_the_end(run)

    def _until_the_end(self, run: DagRun) -> None:
        began = time.monotonic()
        while not self.client.run(run.dag_id, run.run_id).finished:
            if time.monotonic() - began > _LONGEST_STAGE_SECONDS:
                raise StageFailedError(f"{run.dag_id} does not come to an end.")
            time.sleep(0.5)
        if "failed" in self.client.tasks(run).values():
            raise StageFailedError(self.client.what_failed(run))

    def _started(self, stage: Stage, window: Window, since: datetime) -> DagRun:
        dag_id = DAG_OF_STAGE[stage]
        deadline = time.monotonic() + _LONGEST_HOP_SECONDS
        while time.monotonic() < deadline:
            run = self.client.run_of_window(dag_id, window, since)
            if run is not None:
                return run
            time.sleep(0.3)
        raise StageFailedError(
            f"{dag_id} did not start for {window.key} within {_LONGEST_HOP_SECONDS:.0f} s:"
            " is it paused? Look at `make logs SERVICE=airflow-scheduler`."
        )

    def _followed(self, stage: Stage, run: DagRun, window: Window) -> bool:
        began = time.monotonic()
        with self._busy(f"{run.dag_id}  {window.key}") as show:
            while True:
                run = self.client.run(run.dag_id, run.run_id)
                tasks = self.client.tasks(run)
                if run.state == "failed" or "failed" in tasks.values():
                    raise StageFailedError(self.client.what_failed(run))
                if run.finished or tasks.get(_WORK_DONE.get(stage, "")) == "success":
                    break
                if time.monotonic() - began > _LONGEST_STAGE_SECONDS:
                    raise StageFailedError(
                        f"{run.dag_id} has not finished {window.key} in"
                        f" {_LONGEST_STAGE_SECONDS / 60:.0f} minutes: look at it in Airflow."
                    )
                show(next((t for t, state in tasks.items() if state == "running"), run.state))
                time.sleep(0.3)
        self.runs.append(run)
        skipped = tasks.get(str(stage)) == "skipped"
        gate = next((task for task in tasks if task.startswith("gate_")), "")
        outcome = "skipped: no champion yet" if skipped else f"{gate} {tasks.get(gate, '')}"
        seconds = time.monotonic() - began
        self.console.print(f"{seconds:6.1f} s  {run.dag_id:<21} {window.key:<24} {outcome}")
        return not skipped

    @contextmanager
    def _busy(self, activity: str) -> Iterator[Spoken]:
        """Show the current activity: a spinner on a terminal, nothing in a file."""
        spoken = Spoken(activity)
        if not self.console.is_terminal:
            yield spoken
            return
        with self.console.status(activity) as status:
            spoken.update = status.update
            yield spoken
