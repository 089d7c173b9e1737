"""Run the handbook's whole history through the pipeline under Airflow, and one more day after it.

`python -m benchmarks.history` starts a separate platform with an empty state folder, lands 182 days
as one window and then the last day, and stops the platform. It prints the time of each task and the
peak memory of each service. Before it stops, it runs `benchmarks.load` over the same rows.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter, sleep

from rich.console import Console

from benchmarks.data import HANDBOOK, NO_HANDBOOK, handbook_days
from benchmarks.page import skip, write_section
from benchmarks.rounds import cpu_seconds, service_pids
from benchmarks.watch import LOOK_SECONDS, Watch, work
from contracts.assets import DAG_OF_STAGE
from contracts.settings import Settings, load_settings
from contracts.stage_results import LandResult
from contracts.stages import Stage
from contracts.windows import Window
from demo.airflow import AirflowClient
from demo.follow import Line, unpaused
from embedded import platform
from embedded.platform import read_status
from embedded.services.common import environment
from warehouse import ledger

_PORTS_FROM_BASE = 200
_UNTIL_PRODUCTION = tuple(
    DAG_OF_STAGE[stage]
    for stage in (Stage.LAND, Stage.PROCESS, Stage.PREPARE, Stage.LOAD, Stage.BUILD)
)
_LIMITS = {"history": 240.0, "one more day": 30.0}
_LIMIT_MIB = 5 * 1024
_AT_REST = 0.3
"""Processors that an idle platform, and the watch on its memory, keep busy."""
_REST_LOOK_SECONDS, _MOST_REST_SECONDS = 5.0, 120.0


@dataclass(frozen=True)
class Task:
    """A task instance as Airflow recorded it."""

    dag: str
    name: str
    started: datetime
    ended: datetime

    @property
    def seconds(self) -> float:
        """Return the duration of the task."""
        return (self.ended - self.started).total_seconds()


@dataclass(frozen=True)
class Run:
    """A window that went from Raw to PRODUCTION."""

    window: Window
    rows: int
    seconds: float
    tasks: list[Task]

    @property
    def between(self) -> float:
        """Return the seconds in which no task ran: scheduling, and hops from DAG to DAG."""
        return self.seconds - sum(task.seconds for task in self.tasks)


def main() -> int:
    """Start the benchmark on a separate platform, or run it there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help="keep its state folder")
    parser.add_argument("--days", type=int, help="number of first days to run; writes no section")
    options = parser.parse_args()
    if not handbook_days():
        return skip("history", NO_HANDBOOK)
    settings = load_settings()
    if options.inside:
        return _measure(settings, options.days)
    state = settings.state_dir / "bench"
    shutil.rmtree(state, ignore_errors=True)
    own = {
        "TOLLGATE_STATE_DIR": str(state),
        "TOLLGATE_PORT_BASE": str(settings.port_base + _PORTS_FROM_BASE),
        "TOLLGATE_DELIVERIES": json.dumps({"handbook": str(HANDBOOK)}),
    }
    argv = [sys.executable, "-m", "benchmarks.history", "--inside"]
    if options.days:
        argv += ["--days", str(options.days)]
    try:
        return subprocess.run(argv, env=environment(settings, own), check=False).returncode
    finally:
        if not options.keep:
            shutil.rmtree(state, ignore_errors=True)


def _measure(settings: Settings, first: int | None) -> int:
    busy = os.getloadavg()[0]
    days = [path.stem for path in handbook_days()][:first]
    history = Window.of("handbook", f"{days[0]}--{days[-2]}")
    day = Window.of("handbook", days[-1])
    watch, alone = Watch(), min(work() for _ in range(3))
    try:
        platform.up(settings)
        settings = load_settings()  # the first start made the passwords
        with AirflowClient(settings) as client, unpaused(client), watch.over(settings):
            runs = {"history": _run(client, settings, history)}
            rested = _rest(settings)
            runs["one more day"] = _run(client, settings, day)
        argv = [sys.executable, "-m", "benchmarks.load", "--window", history.key]
        loaded = 0 if first else subprocess.run(argv, check=False).returncode
    finally:
        platform.down(settings)
    lines = _lines(runs, watch, rested, alone)
    Console().print("\n".join(lines), markup=False, highlight=False)
    if first is None:
        write_section("history", title="183 days, Raw to PRODUCTION", lines=lines, busy=busy)
    return loaded


def _rest(settings: Settings) -> float:
    """Wait until the services are idle, as before a next day; return the seconds.

    After a history Postgres vacuums and analyses the new rows.
    """
    began = perf_counter()
    names = list(read_status(settings)["services"])
    busy = _AT_REST + 1
    while busy > _AT_REST and perf_counter() - began < _MOST_REST_SECONDS:
        pids = service_pids(settings, *names)
        before = cpu_seconds(pids)
        sleep(_REST_LOOK_SECONDS)
        busy = (cpu_seconds(pids) - before) / _REST_LOOK_SECONDS
    return perf_counter() - began


def _run(client: AirflowClient, settings: Settings, window: Window) -> Run:
    """Run a window through all stages, and wait for the tasks after it."""
    line = Line(client, Console(stderr=True, highlight=False))
    line.window(window)
    line.finish()
    tasks = [
        Task(
            run.dag_id,
            plain["task_id"],
            datetime.fromisoformat(plain["start_date"]),
            datetime.fromisoformat(plain["end_date"]),
        )
        for run in line.runs
        if run.dag_id in _UNTIL_PRODUCTION
        for plain in client.task_instances(run)
    ]
    shown = next(t.ended for t in tasks if (t.dag, t.name) == (_UNTIL_PRODUCTION[-1], "publish"))
    queued_at = line.runs[0].queued_at
    if queued_at is None:
        raise RuntimeError(f"Airflow does not say when {line.runs[0].run_id} was queued.")
    landed = ledger.latest(settings.warehouse.dsn("loader"), LandResult, window)
    return Run(
        window,
        sum(balance.rows_in for balance in landed.balances),
        (shown - queued_at).total_seconds(),
        sorted(tasks, key=lambda task: task.started),
    )


def _lines(runs: dict[str, Run], watch: Watch, rested: float, alone: float) -> list[str]:
    history, day = runs["history"], runs["one more day"]
    there = {(task.dag, task.name): task.seconds for task in day.tasks}
    lines = [
        f"The history is {history.window.key} ({history.rows:,} payments, one window), the day is"
        f" {day.window.key} ({day.rows:,}), which came {rested:.0f} s after it: the services had"
        f" until then, at most {_MOST_REST_SECONDS:.0f} s, to come to rest. On a separate platform"
        " that has just started, all services running, by Airflow from trigger to the marts"
        " that readers see.",
        "",
        "| | seconds | at most | MiB | at most |",
        "|---|---|---|---|---|",
        f"| the history | {history.seconds:.0f} | {_LIMITS['history']:.0f}"
        f" | {watch.together:.0f} | {_LIMIT_MIB} |",
        f"| one more day | {day.seconds:.1f} | {_LIMITS['one more day']:.0f} | | |",
        "",
        "How fast the machine was: a fixed piece of work took"
        f" {1000 * alone:.1f} ms of processor time before it began, and {1000 * watch.pace:.1f} ms"
        f" (median of every {LOOK_SECONDS:.0f} s) while it ran.",
        "",
        "| task | history, seconds | payments/s | day, seconds |",
        "|---|---|---|---|",
    ]
    for task in history.tasks:
        lines.append(
            f"| {task.dag}.{task.name} | {task.seconds:.1f} | {history.rows / task.seconds:,.0f}"
            f" | {there[task.dag, task.name]:.1f} |"
        )
    return [
        *lines,
        f"| between tasks | {history.between:.1f} | | {day.between:.1f} |",
        "",
        f"Peak memory of each service (proportional set size), sampled every {LOOK_SECONDS:.0f} s:",
        "",
        "| service | MiB |",
        "|---|---|",
        *(f"| {name} | {mib:.0f} |" for name, mib in sorted(watch.peaks.items())),
        f"| together, at one moment | {watch.together:.0f} |",
    ]


if __name__ == "__main__":
    sys.exit(main())
