"""Start Superset with the repository's dashboards: ``python -m bi``, run by ``make bi``."""

from __future__ import annotations

import sys

import psycopg

from bi.publish import PublishError, publish
from contracts.settings import Settings, SettingsError, load_settings
from embedded import console, platform
from embedded.preflight import PreflightError


def _check_warehouse(settings: Settings) -> str:
    """Return a warning about PRODUCTION for users of the dashboards, empty if there is none.

    Raises:
        PublishError: when the warehouse does not respond.
    """
    try:
        with psycopg.connect(settings.warehouse.dsn("reader"), connect_timeout=5) as reader:
            relation = reader.execute("select to_regclass('production.rpt_fraud_daily')").fetchone()
    except psycopg.OperationalError as problem:
        place = f"{settings.warehouse.host}:{settings.warehouse.port}"
        raise PublishError(
            f"The warehouse at {place} does not let its reader in: {str(problem).strip()}"
        ) from problem
    if relation is None or relation[0] is None:
        return "PRODUCTION is empty as yet: run `make demo`, then reload the dashboards."
    return ""


def main() -> int:
    """Start Superset, import the dashboards, print their addresses; return an exit code."""
    try:
        platform.up(load_settings(), ["superset"], console.progress)
        # Settings are read again, because the first start has created the passwords.
        settings = load_settings()
        warning = _check_warehouse(settings)
        dashboards = publish(settings)
    except (PreflightError, SettingsError, platform.PlatformError, PublishError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    superset = settings.superset
    for dashboard in sorted(dashboards, key=lambda item: item["dashboard_title"]):
        console.say(f"{dashboard['dashboard_title']:<26} {superset.url}{dashboard['url']}")
    console.say(f"Log in as {superset.username} with {superset.password.get_secret_value()}")
    if warning:
        console.say(warning)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
