"""Run a sample through all stages of a running platform."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import psycopg
from rich.console import Console

from contracts.settings import Settings, SettingsError, load_settings
from contracts.stages import Stage
from contracts.windows import Window
from demo import evidence, show, world
from demo.airflow import AirflowAwayError, AirflowClient
from demo.follow import Line, StageFailedError, unpaused
from simulator.writers import OutputError
from sources.registry import DEFAULT_SOURCE

_FILE_WIDTH: Final = 150


@dataclass(frozen=True)
class Sample:
    """Windows of a source: those that the champion learns from, and later ones.

    `unseen` and `days` come after the training data, so that metrics on them are unbiased.
    """

    learnt: Window
    unseen: Window
    days: tuple[Window, ...]


SAMPLES: Final = {
    DEFAULT_SOURCE: Sample(
        Window.of(DEFAULT_SOURCE, "2024-05-01--2024-07-31"),
        Window.of(DEFAULT_SOURCE, "2024-08-01--2024-08-29"),
        tuple(Window.of(DEFAULT_SOURCE, day) for day in ("2024-08-30", "2024-08-31")),
    ),
    "simulator": Sample(world.LEARNT, world.UNSEEN, world.DAYS),
}


def run(settings: Settings, console: Console, source: str) -> Path:
    """Run a source's sample through all stages; print tables, return the path of the JSON file."""
    began, since = time.monotonic(), datetime.now(UTC)
    sample = SAMPLES[source]
    if source == "simulator":
        world.generate(settings, console)
    with AirflowClient(settings) as client, unpaused(client):
        line = Line(client, console)
        line.window(sample.learnt, last=Stage.BUILD)
        line.by_hand(Stage.TRAIN, sample.learnt)
        for window in (sample.unseen, *sample.days):
            line.window(window)
        line.finish()
    results = {
        **evidence.collect(settings, since, source),
        "seconds_total": time.monotonic() - began,
    }
    show.everything(console, settings, results)
    target = settings.state_dir / "demo.json"
    target.write_text(json.dumps(results, default=evidence.plain, indent=2) + "\n")
    console.print(f"\n{results['seconds_total']:.0f} s in all. The same as JSON: {target}")
    return target


def main(arguments: Sequence[str]) -> int:
    """Run the demo; return 1 after an error message when something fails."""
    parser = argparse.ArgumentParser("python -m demo", description=__doc__)
    parser.add_argument(
        "--source",
        choices=SAMPLES,
        default=DEFAULT_SOURCE,
        help=f"the public sample, or a simulated world that is made first ({DEFAULT_SOURCE})",
    )
    source = parser.parse_args(arguments).source
    try:
        run(
            load_settings(),
            Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, highlight=False),
            source,
        )
    except (
        AirflowAwayError,
        StageFailedError,
        SettingsError,
        OutputError,
        evidence.NoChampionError,
        httpx.HTTPError,
        psycopg.Error,
    ) as problem:
        sys.stderr.write(f"{' '.join(str(problem).split())}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
