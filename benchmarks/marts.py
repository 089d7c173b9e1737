"""Build PRODUCTION with dbt, compared with the same SQL in psql, on the loaded history.

`python -m benchmarks.marts [--source NAME] [--rounds N]`, on a running platform. It works on
copies of the warehouse, so PRODUCTION stays as it is, but for the last part: where Airflow runs,
the newest day is built again by its DAG, beside the dbt command on the same warehouse.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

import psycopg

from benchmarks.page import write_section
from benchmarks.rounds import Timing, cpu_seconds, interleaved, service_pids, table
from benchmarks.scratch import copied_warehouse
from contracts.assets import DAG_OF_STAGE
from contracts.settings import HOST, Settings, load_settings
from contracts.stages import Stage
from contracts.windows import Window
from demo.airflow import AirflowClient
from demo.follow import unpaused
from embedded.platform import read_status
from embedded.services.common import environment
from embedded.services.postgres import bin_dir
from warehouse import dbt_runner, transform

_SHORT_DAYS = 30
_MOST_UNDER_AIRFLOW, _MOST_WITH_HISTORY = 1.3, 1.15
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class _History:
    """The loaded days of a source, oldest first."""

    source: str
    days: tuple[date, ...]
    rows: int

    @property
    def last(self) -> Window:
        """Return the newest day."""
        return Window.of(self.source, self.days[-1].isoformat())

    @property
    def before(self) -> Window:
        """Return all days but the newest."""
        return Window.of(self.source, f"{self.days[0]}--{self.days[-2]}")


def main() -> int:
    """Run the benchmark and write its section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marts", description=__doc__)
    parser.add_argument("--source", help="source system (default: the one with most payments)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each figure (default 3)")
    options = parser.parse_args()
    busy, settings = os.getloadavg()[0], load_settings()
    history = _history(settings, options.source)
    lines = [
        f"{history.rows:,} payments of {history.source}, {len(history.days)} days. Each side ends"
        " with the same tables in the audit schema, tests included; psql finds the seed (the"
        " currencies) loaded. A build in process is what a task does, with dbt imported already.",
    ]
    lines += _against_psql(settings, history, options.rounds)
    lines += _short_history(settings, history, options.rounds)
    lines += _under_airflow(settings, history, options.rounds)
    write_section("marts", title="STAGING to PRODUCTION", lines=lines, busy=busy)
    return 0


def _history(settings: Settings, source: str | None) -> _History:
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        rows = connection.execute(
            "select source_system, event_date, count(*) from staging.transactions"
            " where %s::text is null or source_system = %s group by 1, 2 order by 1, 2",
            (source, source),
        ).fetchall()
    if not rows:
        raise SystemExit("no payment is loaded: send a window through the line first.")
    counts: dict[str, int] = {}
    for name, _, count in rows:
        counts[name] = counts.get(name, 0) + count
    largest = max(counts, key=lambda name: counts[name])
    days = tuple(day for name, day, _ in rows if name == largest)
    if len(days) < 2:
        raise SystemExit(f"only {len(days)} day of {largest} is loaded: a history is needed.")
    return _History(largest, days, counts[largest])


@dataclass(frozen=True)
class _Build:
    """The build of a window, by the platform, by the dbt command, and by psql."""

    settings: Settings
    window: Window
    variables: dict[str, Any]

    @classmethod
    def of(cls, settings: Settings, window: Window) -> "_Build":
        """Build a window once as a warm-up, and return its builds."""
        return cls(settings, window, cls._build(settings, window).variables)

    @staticmethod
    def _build(settings: Settings, window: Window) -> Any:
        return transform.build(
            settings, window=window, run_id="benchmark", dates=tuple(window.dates())
        )

    def in_process(self) -> None:
        """Build as a task of the platform does."""
        self._build(self.settings, self.window)

    def publish(self) -> None:
        """Build and publish."""
        transform.publish(self.settings, self._build(self.settings, self.window))

    @property
    def _target(self) -> Path:
        return self.settings.state_dir / "dbt" / "benchmark"

    def by_command(self) -> None:
        """Build with the dbt command."""
        (self._target / "dbt.log").unlink(missing_ok=True)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dbt.cli.main", "--quiet", "build"),
                *("--project-dir", str(dbt_runner.PROJECT), "--target", "audit"),
                *("--profiles-dir", str(dbt_runner.PROJECT)),
                *("--target-path", str(self._target), "--log-path", str(self._target)),
                *("--log-format-file", "json", "--log-level-file", "debug"),
                *("--vars", json.dumps(self.variables)),
                *("--exclude-resource-type", "unit_test"),
                *("--select", *transform.selected("core")),
            ],
            env=environment(self.settings, dbt_runner.login(self.settings, "transformer")),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"dbt build failed: {done.stdout[-2000:]}")

    def write_script(self) -> Path:
        """Write the SQL of the last `by_command` as one script, node by node."""
        sent: dict[str, list[str]] = {}
        for line in (self._target / "dbt.log").read_text().splitlines():
            event = json.loads(line)
            if event["info"]["name"] == "SQLQuery":
                sent.setdefault(event["data"]["conn_name"], []).append(event["data"]["sql"])
        results = json.loads((self._target / "run_results.json").read_text())["results"]
        # A seed is inserted with parameters, which a script cannot have; its table is kept.
        names = [n for r in results if not (n := str(r["unique_id"])).startswith("seed.")]
        statements = [sql.strip().rstrip(";") for name in names for sql in sent[name]]
        script = self._target / "script.sql"
        script.write_text(";\n".join([*statements, ""]))
        return script

    def by_psql(self, script: Path) -> None:
        """Run that script."""
        warehouse = self.settings.warehouse
        password = warehouse.password("transformer").get_secret_value()
        subprocess.run(
            [
                *(str(bin_dir() / "psql"), "-X", "-q", "-o", os.devnull),
                *("-v", "ON_ERROR_STOP=1", "-h", HOST, "-p", str(warehouse.port)),
                *("-U", warehouse.user("transformer"), "-d", warehouse.database),
                *("-f", str(script)),
            ],
            env=environment(
                self.settings,
                {"PGPASSWORD": password, "PGOPTIONS": "-c client_min_messages=error"},
            ),
            check=True,
        )


def _against_psql(settings: Settings, history: _History, rounds: int) -> list[str]:
    pids = service_pids(settings, "postgres")
    with copied_warehouse(settings, "benchmark_marts") as copy:
        full = _Build.of(copy.settings, history.before)
        copy.empty()
        full.by_command()
        script = full.write_script()
        sides = {
            "psql": lambda: full.by_psql(script),
            "dbt build, in process": full.in_process,
            "dbt build, the command": full.by_command,
        }
        timings: dict[str, list[Timing]] = {name: [] for name in sides}
        for number in range(rounds):
            for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
                copy.empty()
                cpu, began = cpu_seconds(pids), perf_counter()
                sides[name]()
                wall = perf_counter() - began
                timings[name].append(Timing(wall, cpu_seconds(pids) - cpu))
        copy.empty()
        full.publish()
        day = _Build.of(copy.settings, history.last)
        day.by_command()
        script_of_day = day.write_script()
        day_timings = interleaved(
            {
                "psql": lambda: day.by_psql(script_of_day),
                "dbt build, in process": day.in_process,
                "dbt build, the command": day.by_command,
            },
            rounds=rounds,
            processes=pids,
        )
    return [
        "",
        f"### Everything, {history.before.span}",
        "",
        *table(timings, against="psql"),
        "",
        f"### One day, {history.last.span}, with everything before it published",
        "",
        *table(day_timings, against="psql"),
    ]


def _short_history(settings: Settings, history: _History, rounds: int) -> list[str]:
    if len(history.days) <= _SHORT_DAYS + 1:
        return []
    first = history.days[-1] - timedelta(days=_SHORT_DAYS)
    short = _History(history.source, tuple(d for d in history.days if d >= first), 0)
    with (
        copied_warehouse(settings, "benchmark_long") as all_days,
        copied_warehouse(settings, "benchmark_short") as few_days,
    ):
        few_days.forget_before(first)
        _Build.of(all_days.settings, history.before).publish()
        _Build.of(few_days.settings, short.before).publish()
        long_day, short_day = (
            _Build.of(copy.settings, history.last) for copy in (all_days, few_days)
        )
        few, many = f"{_SHORT_DAYS} days before it", f"{len(history.days) - 1} days before it"
        timings = interleaved(
            {few: short_day.in_process, many: long_day.in_process},
            rounds=max(rounds, 5),
            processes=service_pids(settings, "postgres"),
        )
    ratio = _ratio(timings[many], timings[few])
    return [
        "",
        f"### The same day with {_SHORT_DAYS} and with {len(history.days) - 1} days of history",
        "",
        *table(timings, against=few),
        "",
        f"{ratio:.2f} (at most {_MOST_WITH_HISTORY} is asked for).",
    ]


def _under_airflow(settings: Settings, history: _History, rounds: int) -> list[str]:
    if "airflow-scheduler" not in read_status(settings)["services"]:
        return ["", "Airflow was not running, so what it costs was not measured."]
    build = _Build.of(settings, history.last)
    tasks: list[float] = []
    commands: list[float] = []
    with AirflowClient(settings) as client, unpaused(client):
        for _ in range(rounds):
            tasks.append(_task_seconds(client, history.last))
            began = perf_counter()
            build.by_command()
            commands.append(perf_counter() - began)
    transform.publish(settings, build._build(settings, history.last))
    ratio = median(one / other for one, other in zip(tasks, commands, strict=True))
    return [
        "",
        "### The day under Airflow, beside the dbt command on the same warehouse",
        "",
        "| | median, s |",
        "|---|---|",
        f"| the task `build` of build_production | {median(tasks):.2f} |",
        f"| dbt build, the command | {median(commands):.2f} |",
        "",
        f"{ratio:.2f} (at most {_MOST_UNDER_AIRFLOW} is asked for), {rounds} rounds.",
    ]


def _task_seconds(client: AirflowClient, window: Window) -> float:
    """Build a day with its DAG and return the seconds of its task `build`."""
    run = client.trigger(DAG_OF_STAGE[Stage.BUILD], window)
    while not (run := client.run(run.dag_id, run.run_id)).finished:
        sleep(_LOOK_SECONDS)
    if run.state != "success":
        raise RuntimeError(client.what_failed(run))
    seconds = {task["task_id"]: task["duration"] for task in client.task_instances(run)}
    return float(seconds["build"])


def _ratio(ours: Sequence[Timing], theirs: Sequence[Timing]) -> float:
    return median(one.wall / other.wall for one, other in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    sys.exit(main())
