"""STAGING → PRODUCTION by dbt: build for the gate, publish what passed, undo what did not."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from contracts.results import Balance
from contracts.settings import Settings
from contracts.stage_results import BuildResult
from contracts.stages import Layer
from contracts.windows import Window
from lake.dates import date_ranges
from warehouse import dbt_runner, staging_sums
from warehouse.dbt_runner import BuildFailed
from warehouse.schema_check import outdated

_SELECTED: Final[dict[Layer, tuple[str, ...]]] = {
    "core": ("path:models/staging", "tag:core"),
    "scores": ("tag:scores",),
    # A part of the scores, so that a new champion is known before it scores.
    "models": ("stg_model__versions", "tag:models"),
    "operations": ("tag:operations",),
}

REBUILD: Final = "rebuild"
"""In place of a layer: a rebuild of all layers has begun and is not yet published."""


@dataclass(frozen=True)
class Knowledge:
    """What a build may know: labels from `known_from` on are new, those after `as_of` unknown."""

    known_from: date
    as_of: date


def build(
    settings: Settings,
    *,
    window: Window,
    run_id: str,
    dates: Iterable[date],
    layer: Layer = "core",
    as_of: date | None = None,
) -> BuildResult:
    """Build and test the marts of a layer in `production_audit`, where only the gate looks.

    Written are the business dates given of the window's source and, in reports, its dates whose
    labels became known since the layer was last published for it. Slices that an earlier run built
    and never published are undone first, whatever their source. `as_of` defaults to the later of
    the window's end and what is published of the source already, so a day that is run again does
    not lose later knowledge. Each source has its own time: what another one knows, and whether it
    was loaded before or after, changes no figure.

    Raises:
        BuildFailed: naming the models or tests that failed.
        psycopg.OperationalError: when the warehouse cannot be reached; trying later heals that.
    """
    if settings.warehouse.kind == "postgres":
        undo_rebuild(settings)
        _require_this_version(settings)
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        published, unpublished = _state(connection, _held(settings, layer), window.source)
    for variables in unpublished:
        _restore(settings, layer, variables)
    knowledge = _knowledge(window, published, as_of)
    return build_slices(settings, window, run_id, dates, layer, knowledge)


def build_slices(
    settings: Settings,
    window: Window,
    run_id: str,
    dates: Iterable[date],
    layer: Layer,
    knowledge: Knowledge,
) -> BuildResult:
    """Build and test as `build` does, but undo nothing before.

    Raises:
        BuildFailed: naming the models or tests that failed.
    """
    days = tuple(sorted(set(dates)))
    variables = _variables(settings, window.source, days, knowledge)
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        connection.execute(
            "insert into production_audit.layer_state (layer, source_system, unpublished, run_id)"
            " values (%s, %s, %s, %s) on conflict (layer, source_system)"
            " do update set unpublished = excluded.unpublished, run_id = excluded.run_id",
            (_held(settings, layer), window.source, Jsonb(variables), run_id),
        )
    if settings.warehouse.kind == "snowflake":
        from warehouse.snowflake.records import copy_records

        copy_records(settings)
    # No window is swapped into STAGING while dbt holds its lock: the sums are of what it reads.
    with dbt_runner.alone(settings):
        nodes = dbt_runner.run(
            settings,
            layer,
            ["build", "--exclude-resource-type", "unit_test"],
            variables,
            ["--select", *selected(layer)],
        )
        balances: tuple[Balance, ...] = ()
        if layer == "core":
            balances = _balances(settings, window.source, days)
            _record_sums(settings, window.source, run_id, days)
    return BuildResult(
        window=window,
        run_id=run_id,
        dates=days,
        balances=balances,
        layer=layer,
        as_of=knowledge.as_of,
        models=sum(node.startswith("model.") for node in nodes),
        tests=sum(node.startswith("test.") for node in nodes),
        variables=variables,
    )


def publish(settings: Settings, built: BuildResult) -> None:
    """Copy what was built into PRODUCTION in one transaction; again changes nothing.

    Raises:
        BuildFailed: when PRODUCTION could not be written, or the build waits no more; it is then
            as it was.
    """
    built.check()
    with (
        dbt_runner.alone(settings),
        psycopg.connect(settings.warehouse.dsn("transformer"), autocommit=True) as connection,
    ):
        layer = _held(settings, built.layer)
        require_waiting(connection, layer, built)
        dbt_runner.operation(settings, "publish", built.layer, built.variables)
        connection.execute(
            "insert into production_audit.layer_state as held"
            " (layer, source_system, published_as_of) values (%s, %s, %s)"
            " on conflict (layer, source_system) do update set unpublished = null,"
            " published_as_of = greatest(held.published_as_of, excluded.published_as_of)",
            (layer, built.window.source, built.as_of),
        )


def build_and_publish(
    settings: Settings, *, window: Window, run_id: str, dates: Iterable[date], layer: Layer = "core"
) -> None:
    """Build marts that no gate has to judge and publish them, with no other run in between.

    Raises: as `build` and `publish`.
    """
    with dbt_runner.alone(settings):
        publish(
            settings,
            build(settings, window=window, run_id=run_id, dates=dates, layer=layer),
        )


def discard(settings: Settings, built: BuildResult) -> None:
    """Put the audited slices back to what readers see, after a gate closed.

    Raises:
        BuildFailed: when they could not be put back; the next build tries again.
    """
    _restore(settings, built.layer, built.variables)


def publish_operations(settings: Settings, run_id: str) -> None:
    """Bring the marts of runs, tasks and gates up to the ledger's last row.

    Raises:
        BuildFailed: naming the models or tests that failed.
    """
    # No source, day or knowledge matters to them: their slice is what was recorded lately. Refused
    # rows are a source's, and stay as its last build has judged them.
    no_day = Window("none", date.min, date.min)
    build_and_publish(settings, window=no_day, run_id=run_id, dates=(), layer="operations")


def publish_models(settings: Settings, window: Window, run_id: str) -> None:
    """Bring the source's rows of `dim_models` up to what training recorded last.

    Raises:
        BuildFailed: naming the models or tests that failed.
    """
    build_and_publish(settings, window=window, run_id=run_id, dates=(), layer="models")


def undo_rebuild(settings: Settings) -> None:
    """Put every audited mart back to what readers see, where a rebuild left them half made.

    Raises:
        BuildFailed: when they could not be put back; the next build tries again.
    """
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        left = connection.execute(
            "select from production_audit.layer_state where layer = %s", (REBUILD,)
        ).fetchone()
    if left is not None:
        dbt_runner.operation(settings, "restore_rebuilt")
        settle_rebuild(settings)


def settle_rebuild(settings: Settings) -> None:
    """Note that the audited marts are what readers see: no rebuild and no slice waits."""
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        connection.execute("delete from production_audit.layer_state where layer = %s", (REBUILD,))
        connection.execute(
            "update production_audit.layer_state set unpublished = null, run_id = null"
            " where unpublished is not null and layer = any(%s)",
            (list(_SELECTED),),
        )


def published_until(settings: Settings, layer: Layer = "core") -> dict[str, date]:
    """Return the business date up to which the knowledge of each source is published."""
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        rows = connection.execute(
            "select source_system, published_as_of from production_audit.layer_state"
            " where layer = %s and published_as_of is not null order by source_system",
            (_held(settings, layer),),
        ).fetchall()
    return dict(rows)


def build_as_known(settings: Settings, source: str, as_of: date, reports: Iterable[str]) -> None:
    """Build and test reports on a source as known on a date, in `production_as_known`.

    What reports are made of besides PRODUCTION's facts is built with them; what was built there
    before is gone.

    Raises:
        BuildFailed: naming the models or tests that failed.
    """
    dbt_runner.run(settings, "core", ["run-operation", "clear_reports"], {}, [], target="as_known")
    wanted = [f"+{report},path:models/marts/reports" for report in reports]
    dbt_runner.run(
        settings,
        "core",
        ["build", "--full-refresh", "--exclude-resource-type", "unit_test"],
        {"source": source, "as_of": as_of.isoformat()},
        ["--select", *wanted],
        target="as_known",
    )


def selected(layer: Layer) -> tuple[str, ...]:
    """Return what dbt selects to build a layer."""
    return _SELECTED[layer]


def generate_docs(settings: Settings) -> Path:
    """Write dbt's documentation as one page that needs no server, and return it.

    Raises:
        BuildFailed: when dbt could not read the project or the warehouse.
    """
    dbt_runner.run(settings, "core", ["docs", "generate", "--static"], {}, [], target="production")
    page = settings.state_dir / "docs" / "dbt" / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(dbt_runner.target_path(settings, "production") / "static_index.html", page)
    return page


def _require_this_version(settings: Settings) -> None:
    """Refuse marts of other columns in a sentence; dbt's own would be about any of its queries."""
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        others = outdated(connection, "production_audit")
    if others:
        raise BuildFailed(
            f"{', '.join(others)} have other columns than declared: another version of the project"
            " made them. `python -m expectations.full_refresh` makes all marts anew from STAGING."
        )


def require_waiting(connection: psycopg.Connection, layer: str, built: BuildResult) -> None:
    """Refuse to judge or publish what waits no more: the audited slices would be those of before.

    Raises:
        BuildFailed: when another build or a rebuild has replaced it.
    """
    held = connection.execute(
        "select run_id from production_audit.layer_state where layer = %s and source_system = %s",
        (layer, built.window.source),
    ).fetchone()
    if held != (built.run_id,):
        raise BuildFailed(
            f"what run {built.run_id} built on {built.window.key} waits no more: another run"
            " or a rebuild came between. Nothing was changed; build it again."
        )


def _state(
    connection: psycopg.Connection, layer: str, source: str
) -> tuple[date | None, list[dict[str, Any]]]:
    """Return how far a source is published in a layer, and the slices of it that any run left."""
    rows = connection.execute(
        "select source_system, published_as_of, unpublished"
        " from production_audit.layer_state where layer = %s",
        (layer,),
    ).fetchall()
    published = {row[0]: row[1] for row in rows}.get(source)
    return published, [row[2] for row in rows if row[2] is not None]


def _held(settings: Settings, layer: Layer) -> str:
    """Return the name under which the state of a layer is held, in Postgres on any platform."""
    kind = settings.warehouse.kind
    return layer if kind == "postgres" else f"{layer} on {kind}"


def _knowledge(window: Window, published: date | None, as_of: date | None) -> Knowledge:
    until = as_of or max(window.end, published or window.end)
    # A day left out between two windows must not take its labels with it. Labels known earlier are
    # news on the dates that are built alone, whole as those are.
    return Knowledge((published or until) + timedelta(days=1), until)


def _variables(
    settings: Settings, source: str, days: tuple[date, ...], knowledge: Knowledge
) -> dict[str, str | list[list[str]]]:
    return {
        "source": source,
        "dates": [[a.isoformat(), b.isoformat()] for a, b in date_ranges(days)],
        "known_from": knowledge.known_from.isoformat(),
        "as_of": knowledge.as_of.isoformat(),
        "reader": settings.warehouse.user("reader"),
    }


def _restore(settings: Settings, layer: Layer, variables: dict[str, Any]) -> None:
    dbt_runner.operation(settings, "restore", layer, variables)
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        connection.execute(
            "update production_audit.layer_state set unpublished = null, run_id = null"
            " where layer = %s and source_system = %s",
            (_held(settings, layer), variables["source"]),
        )


def _balances(settings: Settings, source: str, days: tuple[date, ...]) -> tuple[Balance, ...]:
    """Return rows and money of STAGING against those of the audited fact, on what was built."""
    totals: dict[tuple[str, str], list[Any]] = {}
    spans = " or ".join(f"event_date between '{a}' and '{b}'" for a, b in date_ranges(days))
    queries = [
        "select source_system, currency, count(*), sum(amount)::text"  # noqa: S608 - our names
        f" from {name} where source_system = '{source}' and ({spans or 'false'}) group by 1, 2"
        for name in ("staging.transactions", "production_audit.fct_transactions")
    ]
    for side, rows in enumerate(_answers(settings, queries)):
        for source_system, currency, count, amount in rows:
            total = totals.setdefault((source_system, currency), [0, 0, Decimal(0), Decimal(0)])
            total[side], total[2 + side] = count, Decimal(amount)
    return tuple(
        Balance(s, c, rows_in, rows_out, amount_in=amount_in, amount_out=amount_out)
        for (s, c), (rows_in, rows_out, amount_in, amount_out) in sorted(totals.items())
    )


def _record_sums(settings: Settings, source: str, run_id: str, days: tuple[date, ...]) -> None:
    if settings.warehouse.kind == "postgres":
        with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
            staging_sums.record(connection, run_id, source, days)


def _answers(settings: Settings, queries: Iterable[str]) -> list[list[tuple[Any, ...]]]:
    """Return the rows of queries in the warehouse, as the role that builds there."""
    if settings.warehouse.kind == "snowflake":
        from warehouse.snowflake.session import connect

        with connect(settings, "transformer") as session:
            return [session.rows(query) for query in queries]
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        return [connection.execute(query.encode()).fetchall() for query in queries]
