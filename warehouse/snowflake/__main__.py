"""Bring windows that have passed the line to Snowflake.

Run as ``python -m warehouse.snowflake sparkov@2024-05-01 …``, oldest first. Gates have judged these
windows in Postgres; here the loader reconciles with the lake, and dbt's tests judge each build.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import psycopg

from contracts.settings import Settings, get_settings
from contracts.stage_results import LoadResult, PrepareResult, ProcessResult
from contracts.stages import Layer
from contracts.tables import TABLES
from contracts.windows import Window
from lake.catalog import open_catalog
from warehouse import ledger, transform
from warehouse.snowflake import load, migrate, records

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


def on_snowflake(settings: Settings) -> Settings:
    """Return settings whose marts are on Snowflake, whatever the platform's own warehouse is."""
    there = settings.warehouse.model_copy(update={"kind": "snowflake"})
    return settings.model_copy(update={"warehouse": there})


def bring(settings: Settings, catalog: Catalog, window: Window) -> None:
    """Load a window, its scores and its marts into Snowflake; again changes nothing.

    Raises:
        LedgerError: when the window has not passed Processed and Sandbox.
        LoadError: when Snowflake does not hold what the lake holds.
        BuildFailed: naming the models or tests that failed.
    """
    there, dsn = on_snowflake(settings), settings.warehouse.dsn("loader")
    run_id = f"snowflake {window.key}"
    processed = ledger.latest(dsn, ProcessResult, window)
    prepared = ledger.latest(dsn, PrepareResult, window)
    staged = load.swap(there, load.stage(catalog, there, processed, prepared, run_id))
    _publish(there, window, staged)
    if _copy_scores(there, window, staged):
        _publish(there, window, staged, "scores")


def _publish(there: Settings, window: Window, staged: LoadResult, layer: Layer = "core") -> None:
    transform.build_and_publish(
        there, window=window, run_id=staged.run_id, dates=staged.dates, layer=layer
    )


def _copy_scores(there: Settings, window: Window, staged: LoadResult) -> bool:
    """Copy the scores and the drift of the dates staged; return whether there are any."""
    mine = "source_system = %(source)s and event_date = any(%(dates)s)"
    values = {"source": window.source, "dates": list(staged.dates)}
    with psycopg.connect(there.warehouse.dsn("loader")) as postgres:
        scores, drift = (
            records.read(postgres, TABLES[name], mine, values)
            for name in ("staging.scores", "staging.feature_drift")
        )
    if not scores.num_rows:
        return False
    load.swap_scores(there, load.stage_scores(there, staged, scores, drift))
    return True


def main(settings: Settings, windows: Sequence[str]) -> int:
    """Bring windows one after the other and say so."""
    migrate.migrate(on_snowflake(settings))
    for key in windows:
        bring(settings, open_catalog(settings, "reader"), Window.parse(key))
        sys.stdout.write(f"{key} is on Snowflake\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(get_settings(), sys.argv[1:]))
