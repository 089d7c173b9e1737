"""Run the reports again as they were known on a past date, beside PRODUCTION.

Run as ``python -m warehouse.as_of 2024-05-10``. Labels that became known after that date count
for nothing, and so do payments delivered after it: schema `production_as_known` then holds what was
published on it. PRODUCTION stays as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from typing import Final

import psycopg

from contracts.marts.reports import TABLES
from contracts.settings import Settings, get_settings
from warehouse import dbt_runner, transform

REPORTS: Final = tuple(table.short_name for table in TABLES)
SCHEMA: Final = "production_as_known"


class NotKnown(ValueError):
    """Raised when reports cannot be had as asked; it says in one sentence what can."""


def rebuild(
    settings: Settings, as_of: date, source: str | None = None, reports: Sequence[str] = ()
) -> str:
    """Build reports as known on a date and return of which source; all reports by default.

    Raises:
        NotKnown: when there is no such source or report, or the date is yet to come for the source.
        BuildFailed: naming the models or tests that failed.
    """
    published = transform.published_until(settings)
    if not published:
        raise NotKnown("Nothing has been published yet: run the line once.")
    held = ", ".join(f"{name} (until {until})" for name, until in published.items())
    if source is None and len(published) > 1:
        raise NotKnown(f"Each source has its own time: name one with --source, of {held}.")
    name = source or next(iter(published))
    if name not in published:
        raise NotKnown(f"Nothing is published of {name!r}, only of {held}.")
    if as_of > published[name]:
        raise NotKnown(f"{name} is published until {published[name]}: no later date is known.")
    if unknown := sorted(set(reports) - set(REPORTS)):
        raise NotKnown(f"There is no report {', '.join(unknown)}, only {', '.join(REPORTS)}.")
    transform.build_as_known(settings, name, as_of, reports or REPORTS)
    return name


def _business_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date: write one as 2024-05-10"
        ) from None


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks and say what came of it, or why not."""
    parser = argparse.ArgumentParser(
        prog="python -m warehouse.as_of",
        description="Run the reports again as they were known at the end of a past date, in schema"
        f" {SCHEMA}, which holds one such run at a time; PRODUCTION stays as it is.",
    )
    parser.add_argument(
        "date", type=_business_date, help="a business date of the source, as 2024-05-10"
    )
    parser.add_argument("--source", help="source system; needed when several are published")
    parser.add_argument(
        "--report",
        action="append",
        default=[],
        metavar="NAME",
        help="a report to build, with those it is made of; may be repeated; of"
        f" {', '.join(REPORTS)} (default: all)",
    )
    asked = parser.parse_args(arguments)
    try:
        source = rebuild(get_settings(), asked.date, asked.source, asked.report)
    except (NotKnown, dbt_runner.BuildFailed, psycopg.OperationalError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{SCHEMA} holds the reports on {source} as known on {asked.date}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
