"""Load windows that passed all gates into Snowflake.

Run as ``python -m warehouse.snowflake sparkov@2024-05-01 …``, oldest first. The gates checked these
windows in Postgres; here the loader reconciles with the lake, and dbt's tests check each build.
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
    """Return settings with marts on Snowflake, independent of the configured warehouse."""
    target = settings.warehouse.model_copy(update={"kind": "snowflake"})
    return settings.model_copy(update={"warehouse": target})


def bring(settings: Settings, catalog: Catalog, window: Window) -> None:
    """Load a window, its scores and its marts into Snowflake; repeating it changes nothing.

    Raises:
        LedgerError: when the window has not passed Processed and Sandbox.
        LoadError: when the rows in Snowflake do not reconcile with the lake.
        BuildFailed: naming the models or tests that failed.
    """
    target, dsn = on_snowflake(settings), settings.warehouse.dsn("loader")
    run_id = f"snowflake {window.key}"
    processed = ledger.latest(dsn, ProcessResult, window)
    prepared = ledger.latest(dsn, PrepareResult, window)
    staged = load.swap(target, load.stage(catalog, target, processed, prepared, run_id))
    _publish(target, window, staged)
    if _copy_scores(target, window, staged):
        _publish(target, window, staged, "scores")


def _publish(target: Settings, window: Window, staged: LoadResult, layer: Layer = "core") -> None:
    transform.build_and_publish(
        target, window=window, run_id=staged.run_id, dates=staged.dates, layer=layer
    )


def _copy_scores(target: Settings, window: Window, staged: LoadResult) -> bool:
    """Copy scores and drift of the dates; return whether they have scores or stream alerts."""
    mine = "source_system = %(source)s and event_date = any(%(dates)s)"
    values = {"source": window.source, "dates": list(staged.dates)}
    with psycopg.connect(target.warehouse.dsn("loader")) as postgres:
        scores, drift, alerts = (
            records.read(postgres, TABLES[name], mine, values)
            for name in ("staging.scores", "staging.feature_drift", "staging.stream_alerts")
        )
    if scores.num_rows:
        load.swap_scores(target, load.stage_scores(target, staged, scores, drift))
    return bool(scores.num_rows or alerts.num_rows)


def main(settings: Settings, windows: Sequence[str]) -> int:
    """Load windows in order and print each."""
    migrate.migrate(on_snowflake(settings))
    for key in windows:
        bring(settings, open_catalog(settings, "reader"), Window.parse(key))
        sys.stdout.write(f"{key} is on Snowflake\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(get_settings(), sys.argv[1:]))
