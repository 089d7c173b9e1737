"""Build all marts again from STAGING and publish what gate production passes.

Run as ``python -m expectations.full_refresh`` while no DAG runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import psycopg

from contracts.results import GateFailed
from contracts.settings import get_settings
from expectations.gates import gate_production
from warehouse.dbt_runner import BuildFailed
from warehouse.full_refresh import NothingToRebuild, plan, rebuild


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks and say what came of it, or why not."""
    parser = argparse.ArgumentParser(
        prog="python -m expectations.full_refresh",
        description="Make all marts anew from STAGING while no DAG runs, judge them, and show them"
        " to readers at once. Needed when an update gave marts other columns.",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be built, and build nothing"
    )
    asked = parser.parse_args(arguments)
    settings = get_settings()
    try:
        planned = plan(settings)
        print(planned)
        if asked.dry_run:
            return 0
        rebuild(settings, planned, lambda line: print(line, flush=True), gate_production)
    except (NothingToRebuild, BuildFailed, GateFailed, psycopg.OperationalError) as error:
        print(error, file=sys.stderr)
        return 1
    print("PRODUCTION holds all marts anew.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
