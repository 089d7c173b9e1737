"""Full refresh: rebuild all marts from STAGING, for example after an update changed their columns.

The refresh builds the marts of each source in the audit schema, runs the gate, and publishes all
marts in one transaction; readers see the old marts until then. A failed refresh is rolled back
immediately, a killed one by the next build. ``python -m expectations.full_refresh`` runs it with
gate production.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from contracts.results import GateResult
from contracts.settings import Settings
from contracts.stage_results import BuildResult
from contracts.stages import Layer
from contracts.windows import Window
from warehouse import dbt_runner, schema_check, transform

_DATES: Final[dict[Layer, tuple[str, ...]]] = {
    "core": ("fct_transactions",),
    # Alerts of the stream need no score.
    "scores": ("fct_transaction_scores", "fct_fraud_alerts"),
}
"""The layers in build order, each with the facts whose dates are its published dates."""

ProductionGate = Callable[[str, BuildResult, Path], GateResult]
"""Gate production: a function of the login, the result of the build and the report folder."""


class NothingToRebuild(ValueError):
    """Raised when no mart can be rebuilt; the message has the reason and the remedy."""


@dataclass(frozen=True)
class Plan:
    """Plan of a full refresh: by source and layer, the dates and the as-of date."""

    sources: tuple[str, ...]
    until: dict[tuple[str, Layer], date]
    dates: dict[tuple[str, Layer], tuple[date, ...]]
    outdated: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"{source}: {len(self.dates[source, 'core'])} dates of payments and"
            f" {len(self.dates[source, 'scores'])} of scores, as known on"
            f" {self.until[source, 'core']}"
            for source in self.sources
        ]
        shape = ", ".join(self.outdated) or "none"
        return "\n".join([*lines, f"marts with other columns than declared: {shape}"])


def plan(settings: Settings) -> Plan:
    """Return the published dates, which a full refresh rebuilds.

    Raises:
        NothingToRebuild: when nothing is published, or the marts are not on Postgres.
    """
    if settings.warehouse.kind != "postgres":
        raise NothingToRebuild(
            "A full refresh runs on Postgres only: on Snowflake drop the tables of PRODUCTION and"
            " PRODUCTION_AUDIT and load the windows again with `python -m warehouse.snowflake`."
        )
    core, scores = (transform.published_until(settings, layer) for layer in _DATES)
    until: dict[tuple[str, Layer], date] = {}
    for source, as_of in core.items():
        until[source, "core"], until[source, "scores"] = as_of, scores.get(source, as_of)
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        dates = {
            (source, layer): tuple(
                sorted({day for fact in _DATES[layer] for day in _dates(connection, fact, source)})
            )
            for source, layer in until
        }
        outdated = schema_check.outdated(connection, "production")
    sources = tuple(source for source in core if dates[source, "core"])
    if not sources:
        raise NothingToRebuild("PRODUCTION has no payments yet: run all DAGs once.")
    return Plan(sources, until, dates, outdated)


def rebuild(
    settings: Settings, planned: Plan, say: Callable[[str], None], gate: ProductionGate
) -> None:
    """Build, check and publish every mart of every source; a failure changes nothing.

    Raises:
        BuildFailed: naming the models or tests that failed.
        GateFailed: naming the failed checks and their report.
    """
    with dbt_runner.alone(settings):
        transform.undo_rebuild(settings)
        _begin(settings)
        try:
            dbt_runner.operation(settings, "clear_audit")
            _build_all(settings, planned, say, gate)
            reader = {"reader": settings.warehouse.user("reader")}
            dbt_runner.operation(settings, "publish_rebuilt", variables=reader)
        except BaseException:
            transform.undo_rebuild(settings)
            raise
        transform.settle_rebuild(settings)


def _build_all(
    settings: Settings, planned: Plan, say: Callable[[str], None], gate: ProductionGate
) -> None:
    run_id = f"rebuild {datetime.now(UTC).isoformat(timespec='seconds')}"
    built_core = []
    for layer in _DATES:
        for source in planned.sources:
            started = time.monotonic()
            dates, until = planned.dates[source, layer], planned.until[source, layer]
            window = Window(source, dates[0] if dates else until, dates[-1] if dates else until)
            knowledge = transform.Knowledge(until + timedelta(days=1), until)
            built = transform.build_slices(settings, window, run_id, dates, layer, knowledge)
            say(f"{source}: {layer} of {len(dates)} dates in {time.monotonic() - started:.0f} s")
            if layer == "core":
                built_core.append(built)
    # The gate runs after all sources are built, because it reads the audit tables as a whole.
    for built in built_core:
        gate(settings.warehouse.dsn("transformer"), built, settings.state_dir).require()
        say(f"gate production open on {built.window.key}")


def _begin(settings: Settings) -> None:
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        connection.execute(
            "insert into production_audit.layer_state (layer, source_system) values (%s, '*')",
            (transform.REBUILD,),
        )


def _dates(connection: psycopg.Connection[Any], fact: str, source: str) -> tuple[date, ...]:
    name = f"production.{fact}"
    if connection.execute("select to_regclass(%s)", (name,)).fetchone() == (None,):
        return ()
    query = "select distinct event_date from {} where source_system = %s"
    table = sql.Identifier("production", fact)
    return tuple(day for (day,) in connection.execute(sql.SQL(query).format(table), (source,)))
