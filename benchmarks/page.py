"""The page of results: each benchmark writes its own section of `docs/benchmarks.md`."""

import os
import platform
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

PAGE: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"
SECTIONS: Final = (
    *("line", "features", "history", "load", "marts", "dashboards", "simulator", "stream"),
    "stream_kafka",
    "stream_alerts",
    "serving",
)
"""The benchmarks, each a module of this package, in the order of the page."""
BENCHMARKS: Final = ("line", "features", "history")
"""The benchmarks that `make bench` starts; `history` runs `load` on its platform and rows."""
_HEAD: Final = """<!-- Written by `make bench`, a section by each benchmark. -->
# Benchmarks

Absolute seconds vary from machine to machine; compare ratios, which are taken in one run.
"""


def write_section(
    name: str, *, title: str, lines: Sequence[str], page: Path = PAGE, busy: float | None = None
) -> None:
    """Replace the section of a benchmark, and keep the others.

    `busy` is the load of the machine before the benchmark began, by default that of now.

    Raises:
        KeyError: when the benchmark is not in `SECTIONS`.
    """
    if name not in SECTIONS:
        raise KeyError(f"{name} is no section of the page: add it to SECTIONS.")
    written = page.read_text() if page.is_file() else ""
    sections = dict(re.findall(r"<!-- section: (\w+) -->\n(.*?)<!-- end: \1 -->", written, re.S))
    sections[name] = "\n".join([f"## {title}", "", machine(busy), "", *lines, ""])
    parts = [
        f"<!-- section: {known} -->\n{sections[known]}<!-- end: {known} -->\n"
        for known in SECTIONS
        if known in sections
    ]
    page.write_text("\n".join([_HEAD, *parts]))
    sys.stderr.write(f"wrote section {name} of {page.name}\n")


def machine(busy: float | None = None) -> str:
    """Return a sentence about the machine and its load."""
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0] if busy is None else busy
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {memory:.0f} GiB,"
        f" {platform.system()}, Python {platform.python_version()}, embedded platform;"
        f" load average {load:.1f} when it began."
    )


def skip(name: str, reason: str) -> int:
    """Print why a benchmark does not run; its section is kept. Returns the exit code 0."""
    sys.stderr.write(f"skipped benchmark {name}: {reason}\n")
    return 0
