"""Full refresh: rebuild all marts from STAGING and publish them after gate production.

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
    """Run the command line and print the result or the error."""
    parser = argparse.ArgumentParser(
        prog="python -m expectations.full_refresh",
        description="Rebuild all marts from STAGING while no DAG runs, check them, and publish them"
        " in one transaction. Needed after an update changed the columns of marts.",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and build nothing")
    options = parser.parse_args(arguments)
    settings = get_settings()
    try:
        planned = plan(settings)
        print(planned)
        if options.dry_run:
            return 0
        rebuild(settings, planned, lambda line: print(line, flush=True), gate_production)
    except (NothingToRebuild, BuildFailed, GateFailed, psycopg.OperationalError) as error:
        print(error, file=sys.stderr)
        return 1
    print("PRODUCTION has the rebuilt marts.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
