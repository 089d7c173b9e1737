"""Rows a second and core of the simulated world, as Parquet and as JSON lines.

`python -m benchmarks.simulator [--days N] [--customers N]`. It needs no platform. The floor is
Faker, which makes one person for each row; the simulator calls it once for each customer.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from time import process_time

import pyarrow as pa
from faker import Faker

from benchmarks.page import write_section
from simulator.days import FORMATS
from simulator.settings import Settings
from simulator.world import World, make_world
from simulator.writers import write_days

_FIRST_DAY = 30
_GOALS = {"parquet": 200_000, "jsonl": 100_000}
"""Rows a second of CPU time."""
_PEOPLE = 2_000


def main() -> int:
    """Measure, print and write the section of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--customers", type=int, default=20_000)
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    pa.set_cpu_count(1)
    world = make_world(Settings(customers=options.customers))
    floor = _people()
    lines = [
        f"{options.days} days of {options.customers:,} customers, one process. CPU time includes"
        " behaviour, fraud, dirt, ledger, truth, labels, and the writing of the files; it excludes"
        " the making of the world.",
        "",
        "| output | rows/s of CPU | goal | times Faker |",
        "|---|---|---|---|",
        *(
            f"| {name} | {speed:,.0f} | {_GOALS[name]:,} | {speed / floor:.0f} |"
            for name, speed in ((name, _speed(world, options.days, name)) for name in FORMATS)
        ),
        f"| Faker: name, address, e-mail, card number | {floor:,.0f} | | 1 |",
    ]
    sys.stdout.write("\n".join([*lines, ""]))
    write_section("simulator", title="Simulated world", lines=lines, busy=busy)
    return 0


def _speed(world: World, days: int, file_format: str) -> float:
    """Return rows a second of CPU time that are written."""
    with tempfile.TemporaryDirectory() as folder:
        begin = process_time()
        rows = write_days(
            world,
            range(_FIRST_DAY, _FIRST_DAY + days),
            Path(folder),
            "parquet" if file_format == "parquet" else "jsonl",
            1,
            lambda done, written: None,
        )
        return rows / (process_time() - begin)


def _people() -> float:
    """Return people a second of CPU time that Faker makes."""
    faker = Faker("en_US")
    begin = process_time()
    for _ in range(_PEOPLE):
        faker.name(), faker.address(), faker.ascii_safe_email(), faker.credit_card_number()
    return _PEOPLE / (process_time() - begin)


if __name__ == "__main__":
    sys.exit(main())
