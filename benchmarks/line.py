"""Measure the pipeline on the running platform: `python -m benchmarks.line [--rounds N]`.

Rows per second of each stage, jobs called directly; then the same days through Airflow and
directly in turn, for the ratio that says what orchestration costs.
"""

import argparse
import os
import sys
from collections import defaultdict
from statistics import median
from time import perf_counter
from typing import Final

from rich.console import Console

from benchmarks.direct import DirectLine, Done
from benchmarks.page import write_section
from contracts.settings import load_settings
from contracts.stages import Stage
from contracts.windows import Window
from demo.__main__ import SAMPLES
from demo.airflow import AirflowClient
from demo.follow import Line, unpaused
from sources.registry import DEFAULT_SOURCE

Timings = dict[str, list[float]]
_SAMPLE: Final = SAMPLES[DEFAULT_SOURCE]
_HISTORY: Final = Window(DEFAULT_SOURCE, _SAMPLE.learnt.start, _SAMPLE.unseen.end)


def main() -> int:
    """Run the benchmark and write its section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.line", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each figure (default 3)")
    rounds = parser.parse_args().rounds
    busy = os.getloadavg()[0]
    settings = load_settings()
    line = DirectLine(settings)
    console = Console(stderr=True, highlight=False)

    line.window(
        _SAMPLE.days[0]
    )  # warm: classes loaded, marts built, a champion needed from here on
    history: Timings = defaultdict(list)
    rows = _rows(line.window(_HISTORY))
    _add(history, line.seconds)
    day: Timings = defaultdict(list)
    direct, airflow = [], []
    with AirflowClient(settings) as client, unpaused(client):
        followed = Line(client, console)
        for _ in range(rounds):
            began = perf_counter()
            day_rows = _rows(line.window(_SAMPLE.days[-1]))
            direct.append(perf_counter() - began)
            _add(day, line.seconds)
            began = perf_counter()
            followed.window(_SAMPLE.days[-1])
            airflow.append(perf_counter() - began)
            followed.finish()  # docs and run marts of this round must not slow down the next one
    lines = _lines(history, rows, day, day_rows, direct, airflow)
    write_section("line", title="The line, stage by stage", lines=lines, busy=busy)
    return 0


def _rows(done: Done) -> int:
    return sum(balance.rows_in for balance in done[Stage.LAND].balances)


def _add(timings: Timings, seconds: dict[str, float]) -> None:
    for step, value in seconds.items():
        timings[step].append(value)


def _lines(
    history: Timings,
    rows: int,
    day: Timings,
    day_rows: int,
    direct: list[float],
    airflow: list[float],
) -> list[str]:
    ratios = [whole / alone for whole, alone in zip(airflow, direct, strict=True)]
    lines = [
        "### Each step, called directly on a warm platform",
        "",
        f"The history is {_HISTORY.key} ({rows:,} rows, one run); the day is {_SAMPLE.days[-1].key}"
        f" ({day_rows:,} rows, median of {len(direct)} runs).",
        "",
        "| step | history, seconds | history, rows/s | day, seconds |",
        "|---|---|---|---|",
    ]
    for step, seconds in history.items():
        once = median(seconds)
        lines.append(f"| {step} | {once:.2f} | {rows / once:,.0f} | {median(day[step]):.2f} |")
    lines += [
        f"| together | {sum(map(median, history.values())):.1f} |"
        f" {rows / sum(map(median, history.values())):,.0f} |"
        f" {sum(map(median, day.values())):.1f} |",
        "",
        "### What Airflow costs",
        "",
        f"The day through Airflow, from trigger to published scores, against the same jobs and"
        f" gates called directly, in turn, {len(direct)} rounds.",
        "",
        "| | median | minimum | maximum |",
        "|---|---|---|---|",
        *(
            f"| {name} | {median(values):.2f} | {min(values):.2f} | {max(values):.2f} |"
            for name, values in (
                ("through Airflow, seconds", airflow),
                ("directly, seconds", direct),
                ("ratio", ratios),
            )
        ),
    ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
