"""Build the reports as of a past date in the schema `production_as_known`.

Run as ``python -m warehouse.as_of 2024-05-10``. The reports exclude labels that became known after
that date and payments that were delivered after it, so they equal the reports that were published
on that date. PRODUCTION does not change.
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
    """Raised when the requested reports cannot be built; the message names the valid choices."""


def rebuild(
    settings: Settings, as_of: date, source: str | None = None, reports: Sequence[str] = ()
) -> str:
    """Build reports as of a date, all by default, and return the name of their source.

    Raises:
        NotKnown: when there is no such source or report, or the date is after its published dates.
        BuildFailed: naming the models or tests that failed.
    """
    published = transform.published_until(settings)
    if not published:
        raise NotKnown("Nothing has been published yet: run all DAGs once.")
    choices = ", ".join(f"{name} (until {until})" for name, until in published.items())
    if source is None and len(published) > 1:
        raise NotKnown(f"Several sources are published: choose one with --source, of {choices}.")
    name = source or next(iter(published))
    if name not in published:
        raise NotKnown(f"{name!r} is not published: the published sources are {choices}.")
    if as_of > published[name]:
        raise NotKnown(f"{name} is published until {published[name]}: choose a date up to then.")
    if unknown := sorted(set(reports) - set(REPORTS)):
        raise NotKnown(
            f"There is no report {', '.join(unknown)}: the reports are {', '.join(REPORTS)}."
        )
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
    """Run the command line and print the result or the error."""
    parser = argparse.ArgumentParser(
        prog="python -m warehouse.as_of",
        description="Build the reports as of the end of a past date in the schema"
        f" {SCHEMA}, replacing the reports of an earlier run; PRODUCTION does not change.",
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
        help="a report to build, with the reports it reads; may be repeated; one of"
        f" {', '.join(REPORTS)} (default: all)",
    )
    options = parser.parse_args(arguments)
    try:
        source = rebuild(get_settings(), options.date, options.source, options.report)
    except (NotKnown, dbt_runner.BuildFailed, psycopg.OperationalError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{SCHEMA} has the reports of {source} as of {options.date}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
