"""Run the demo on a running platform: `python -m demo`."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import psycopg
from rich.console import Console

from contracts.settings import Settings, SettingsError, load_settings
from contracts.stages import Stage
from contracts.windows import Window
from demo import evidence, show
from demo.airflow import AirflowAwayError, AirflowClient
from demo.follow import Line, StageFailedError, unpaused
from sources.registry import DEFAULT_SOURCE

LEARNT: Final = Window.of(DEFAULT_SOURCE, "2024-05-01--2024-07-31")
UNSEEN: Final = Window.of(DEFAULT_SOURCE, "2024-08-01--2024-08-29")
"""Windows after the training data of the champion, on which its metrics are unbiased."""
_FILE_WIDTH: Final = 150
DAYS: Final = tuple(Window.of(DEFAULT_SOURCE, day) for day in ("2024-08-30", "2024-08-31"))


def run(settings: Settings, console: Console) -> Path:
    """Run the sample through all stages; print the tables and return the path of the JSON file."""
    began, since = time.monotonic(), datetime.now(UTC)
    with AirflowClient(settings) as client, unpaused(client):
        line = Line(client, console)
        line.window(LEARNT, last=Stage.BUILD)
        line.by_hand(Stage.TRAIN, LEARNT)
        for window in (UNSEEN, *DAYS):
            line.window(window)
        line.finish()
    results = {**evidence.collect(settings, since), "seconds_total": time.monotonic() - began}
    show.everything(console, settings, results)
    target = settings.state_dir / "demo.json"
    target.write_text(json.dumps(results, default=evidence.plain, indent=2) + "\n")
    console.print(f"\n{results['seconds_total']:.0f} s in all. The same as JSON: {target}")
    return target


def main() -> int:
    """Run the demo; return 1 after an error message when something fails."""
    try:
        run(
            load_settings(),
            Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, highlight=False),
        )
    except (
        AirflowAwayError,
        StageFailedError,
        SettingsError,
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
    raise SystemExit(main())
