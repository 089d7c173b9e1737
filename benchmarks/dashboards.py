"""How long the queries of the dashboards take: `python -m benchmarks.dashboards`.

On a platform on which `make bi` has started Superset, each dashboard is opened twice in a headless
Chromium, and Postgres logs the duration of each query of the BI role. Superset caches no results.
The second time counts, because the first may read from disk.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.page import write_section
from bi.browser import browser
from bi.dashboards import DASHBOARDS
from contracts.settings import HOST, Settings, load_settings
from embedded import secrets

_MOST_MILLISECONDS = 300
_SHOWN = 10
_QUERY = re.compile(r"duration: ([\d.]+) ms  (?:statement|execute[^:]*): (.*)")


def main() -> int:
    """Run the benchmark and write its section."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.dashboards", description=__doc__
    ).parse_args()
    busy, settings = os.getloadavg()[0], load_settings()
    taken: list[tuple[float, str, str]] = []
    count = 0
    with _timed(settings), browser(settings) as window:
        window.log_in()
        for dashboard in DASHBOARDS:
            window.open(dashboard)
            since = _log(settings).stat().st_size
            window.open(dashboard)
            queries = _queries(settings, since)
            count += len(queries)
            taken += [(seconds, dashboard.title, table) for seconds, table in queries]
    taken.sort(reverse=True)
    lines = [
        f"{_payments(settings):,} payments in PRODUCTION. {count} queries of {len(DASHBOARDS)}"
        " dashboards, as Postgres timed them, nothing cached by Superset; the slowest:",
        "",
        "| dashboard | reads | ms |",
        "|---|---|---|",
        *(f"| {title} | {table} | {time:.0f} |" for time, title, table in taken[:_SHOWN]),
        "",
        f"At most {_MOST_MILLISECONDS} ms is asked for.",
    ]
    write_section("dashboards", title="Queries of the dashboards", lines=lines, busy=busy)
    return 0


@contextmanager
def _timed(settings: Settings) -> Iterator[None]:
    """Make the server log the duration of each statement of the BI role."""
    role = sql.Identifier(settings.warehouse.user("reader"))
    with _administrator(settings) as admin:
        admin.execute(sql.SQL("alter role {} set log_min_duration_statement = 0").format(role))
        try:
            yield
        finally:
            admin.execute(sql.SQL("alter role {} reset log_min_duration_statement").format(role))


def _administrator(settings: Settings) -> psycopg.Connection:
    return psycopg.connect(
        host=HOST,
        port=settings.port("postgres"),
        user="postgres",
        password=secrets.read(settings.secrets_dir, "postgres_superuser"),
        dbname="postgres",
        autocommit=True,
    )


def _log(settings: Settings) -> Path:
    return settings.state_dir / "logs" / "postgres.log"


def _queries(settings: Settings, since: int) -> list[tuple[float, str]]:
    """Return milliseconds and table of each query on PRODUCTION after a position in the log."""
    text = _log(settings).read_bytes()[since:].decode(errors="replace")
    # Continuation lines of a statement begin with a tab.
    matches = [_QUERY.search(line) for line in re.sub(r"\n\t", " ", text).splitlines()]
    queries = [
        (float(match[1]), re.search(r"production\.(\w+)", match[2])) for match in matches if match
    ]
    return [(time, table[1]) for time, table in queries if table]


def _payments(settings: Settings) -> int:
    with psycopg.connect(settings.warehouse.dsn("reader")) as connection:
        row = connection.execute("select count(*) from production.fct_transactions").fetchone()
    return int(row[0]) if row else 0


if __name__ == "__main__":
    sys.exit(main())
