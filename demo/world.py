"""The simulated world that `python -m demo --source simulator` runs through the pipeline."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Final

from rich.console import Console

from contracts.settings import Settings
from contracts.windows import Window
from simulator.settings import Settings as WorldSettings
from simulator.world import make_world
from simulator.writers import write_days

# Days of a year that is over, since gate raw refuses those that are not.
WORLD: Final = WorldSettings(seed=7, customers=1_200, start_date=date(2025, 1, 1))
"""About 2,200 payments a day, with the declared rates of dirt."""
LEARNT: Final = Window.of("simulator", "2025-01-01--2025-02-11")
UNSEEN: Final = Window.of("simulator", "2025-02-12--2025-02-18")
DAYS: Final = tuple(Window.of("simulator", day) for day in ("2025-02-19", "2025-02-20"))
_LINE_EVERY_DAYS: Final = 17


def generate(settings: Settings, console: Console) -> Path:
    """Write the world into the state folder, unless it is there; return its folder.

    Raises:
        OutputError: when the folder cannot be written.
    """
    folder = settings.deliveries["simulator"].parent
    if folder.is_dir():
        console.print(f"The simulated world of {folder} is used; remove the folder for a new one.")
        return folder
    count = (DAYS[-1].end - WORLD.start_date).days + 1
    console.print(f"Making {WORLD.customers:,} customers and their payments of {count} days")

    def show(done: int, rows: int) -> None:
        if done % _LINE_EVERY_DAYS == 0 or done == count:
            console.print(f"{done} of {count} days, {rows:,} payments")

    # A run that is killed leaves no half world under the name of the whole one.
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    write_days(make_world(WORLD), range(count), part, "jsonl", 1, show)
    part.rename(folder)
    return folder
