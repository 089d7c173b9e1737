"""Write days of the simulated world to files, or stream them as JSON lines."""

import argparse
import os
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

from simulator.days import FORMATS
from simulator.dirt import KINDS
from simulator.settings import Settings
from simulator.world import make_world
from simulator.writers import FOLDERS, OutputError, Progress, stream_days, write_days


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = replace(
            Settings(), seed=options.seed, customers=options.customers, start_date=options.start
        )
        days = _days(options.first_day, options.days)
        _check(options)
    except ValueError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    if options.dry_run:
        print(_plan(settings, days, options))
        return 0
    print(f"Making {settings.customers:,} customers and their merchants", file=sys.stderr)
    world = make_world(settings)
    try:
        if options.stream:
            stream_days(world, days, options.rate, sys.stdout.buffer)
        else:
            progress = _progress(len(days))
            write_days(world, days, options.output, options.format, options.workers, progress)
            print(f"\nWrote {options.output}", file=sys.stderr)
    except OutputError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader has ended; without this, Python reports the pipe again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser("python -m simulator", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--output", type=Path, help="folder for payments, labels, truth and dirt")
    where.add_argument(
        "--stream", action="store_true", help="write payments to standard output as JSON lines"
    )
    parser.add_argument("--days", type=int, default=30, help="number of days (30)")
    parser.add_argument("--first-day", type=int, default=0, help="first day, from 0 (0)")
    parser.add_argument(
        "--start",
        type=date.fromisoformat,
        default=defaults.start_date,
        help=f"date of day 0 ({defaults.start_date})",
    )
    parser.add_argument("--format", choices=FORMATS, default="jsonl", help="format of payments")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="seed of the world (7)")
    parser.add_argument(
        "--customers", type=int, default=defaults.customers, help="customers of the world (10000)"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that write days (1)")
    parser.add_argument(
        "--rate", type=float, help="rows a second of a stream; without it as fast as possible"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be written, and stop"
    )
    return parser


def _days(first: int, count: int) -> range:
    if first < 0 or count < 1:
        raise ValueError(
            f"{count} days from day {first} are no days: give --days 1 or more, --first-day 0 or"
            " more."
        )
    return range(first, first + count)


def _check(options: argparse.Namespace) -> None:
    if options.workers < 1:
        raise ValueError(f"{options.workers} workers write nothing: give --workers 1 or more.")
    if options.rate is not None and options.rate <= 0:
        raise ValueError(f"A rate of {options.rate:g} rows a second is none: give more than 0.")
    if options.rate is not None and not options.stream:
        raise ValueError("--rate is for a stream: give it together with --stream.")
    if options.stream and options.format != "jsonl":
        raise ValueError("A stream is JSON lines: leave --format out.")


def _plan(settings: Settings, days: range, options: argparse.Namespace) -> str:
    """Return what a run would write, in words."""
    rows = settings.customers * settings.payments_per_day * len(days)
    dirty = sum(settings.dirt.rates[kind.name] for kind in KINDS)
    where = (
        "standard output"
        if options.stream
        else f"{options.output}/{{{','.join(FOLDERS)}}} as {options.format}"
    )
    return "\n".join(
        (
            f"World: seed {settings.seed}, {settings.customers:,} customers,"
            f" day 0 is {settings.start_date}",
            f"Days: {days.start} to {days.stop - 1}, about {rows:,.0f} payments",
            f"Dirty rows: {dirty:.2%}, of {len(KINDS)} kinds",
            f"To: {where}",
        )
    )


def _progress(days: int) -> Progress:
    """Return a function that shows days, rows and rows a second in one line."""
    begin = time.monotonic()

    def show(done: int, rows: int) -> None:
        speed = rows / max(time.monotonic() - begin, 1e-9)
        print(
            f"\r{done} of {days} days, {rows:,} rows, {speed:,.0f} rows/s",
            end="",
            file=sys.stderr,
            flush=True,
        )

    return show


if __name__ == "__main__":
    sys.exit(main())
