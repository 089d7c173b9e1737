"""STAGING → PRODUCTION by dbt: build marts in the audit schema, then publish or restore them."""

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
from sources.registry import find
from warehouse import dbt_runner, query, staging_sums, stream_alerts
from warehouse.dbt_runner import BuildFailed
from warehouse.schema_check import outdated

_SELECTED: Final[dict[Layer, tuple[str, ...]]] = {
    "core": ("path:models/staging", "tag:core"),
    "scores": ("tag:scores",),
    # A part of the scores, so that a new champion is known before it scores.
    "models": ("stg_model__versions", "tag:models"),
    "operations": ("tag:operations",),
    # With what they read, because the API may decide before the batch line has built a window.
    "decisions": ("stg_api__decisions", "stg_api__replays", "tag:decisions"),
}

_TARGET: Final[dict[Layer, str]] = {"scores": "scores"}
"""The dbt target of a layer, `audit` where it is not named. Marts of scores read the core marts of
PRODUCTION, because those of the audit schema may have slices that wait for gate production."""

REBUILD: Final = "rebuild"
"""Name in place of a layer while a full refresh is not published yet."""


@dataclass(frozen=True)
class Knowledge:
    """Dates that limit a build: labels from `known_from` on are new, later than `as_of` unknown."""

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
    """Build and test the marts of a layer in `production_audit`, which only the gate reads.

    The build writes the given business dates of the window's source. Reports also get its dates
    whose labels became known since the layer was last published for the source. Slices that an
    earlier run built and did not publish are restored first, of any source. `as_of` defaults to the
    later of the window's end and the published as-of date of the source, so a repeated day keeps
    later labels. Sources are independent: the order in which they are loaded changes no figure.

    Raises:
        BuildFailed: naming the models or tests that failed.
        psycopg.OperationalError: when the warehouse cannot be reached; retry later.
    """
    if settings.warehouse.kind == "postgres":
        undo_rebuild(settings)
        _require_this_version(settings)
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        published, unpublished = _state(connection, _state_name(settings, layer), window.source)
    for variables in unpublished:
        _restore(settings, layer, variables)
    knowledge = _knowledge(window, published, as_of)
    target = _TARGET.get(layer, "audit")
    return build_slices(settings, window, run_id, dates, layer, knowledge, target)


def build_slices(
    settings: Settings,
    window: Window,
    run_id: str,
    dates: Iterable[date],
    layer: Layer,
    knowledge: Knowledge,
    target: str = "audit",
) -> BuildResult:
    """Build and test the slices as `build` does, without restoring earlier slices first.

    The layer scores also gets the dates up to the as-of date with alerts of the stream that are not
    published. With the target `audit`, marts of scores read the core marts of the audit schema.

    Raises:
        BuildFailed: naming the models or tests that failed.
    """
    if settings.warehouse.kind == "snowflake":
        from warehouse.snowflake.records import copy_records

        copy_records(settings)
    written = set(dates)
    if layer == "scores":
        waiting = stream_alerts.unpublished(settings).get(window.source, ())
        written.update(day for day in waiting if day <= knowledge.as_of)
    days = tuple(sorted(written))
    variables = _variables(settings, window.source, days, knowledge)
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        connection.execute(
            "insert into production_audit.layer_state (layer, source_system, unpublished, run_id)"
            " values (%s, %s, %s, %s) on conflict (layer, source_system)"
            " do update set unpublished = excluded.unpublished, run_id = excluded.run_id",
            (_state_name(settings, layer), window.source, Jsonb(variables), run_id),
        )
    # Under the lock of dbt no window is swapped into STAGING, so the sums are of the rows it reads.
    with dbt_runner.alone(settings):
        nodes = dbt_runner.run(
            settings,
            layer,
            ["build", "--exclude-resource-type", "unit_test"],
            variables,
            ["--select", *selected(layer)],
            target,
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
    """Copy the built slices into PRODUCTION in one transaction; repeating it changes nothing.

    Raises:
        BuildFailed: when PRODUCTION could not be written, or another build replaced this one;
            PRODUCTION is then unchanged.
    """
    built.check()
    with (
        dbt_runner.alone(settings),
        psycopg.connect(settings.warehouse.dsn("transformer"), autocommit=True) as connection,
    ):
        layer = _state_name(settings, built.layer)
        require_waiting(connection, layer, built)
        target = _TARGET.get(built.layer, "audit")
        dbt_runner.operation(settings, "publish", built.layer, built.variables, target)
        connection.execute(
            "insert into production_audit.layer_state as state"
            " (layer, source_system, published_as_of) values (%s, %s, %s)"
            " on conflict (layer, source_system) do update set unpublished = null,"
            " published_as_of = greatest(state.published_as_of, excluded.published_as_of)",
            (layer, built.window.source, built.as_of),
        )


def build_and_publish(
    settings: Settings, *, window: Window, run_id: str, dates: Iterable[date], layer: Layer = "core"
) -> None:
    """Build marts that have no gate and publish them, with no other run in between.

    Raises: as `build` and `publish`.
    """
    with dbt_runner.alone(settings):
        publish(
            settings,
            build(settings, window=window, run_id=run_id, dates=dates, layer=layer),
        )


def discard(settings: Settings, built: BuildResult) -> None:
    """Restore the audited slices from PRODUCTION after a gate closed.

    Raises:
        BuildFailed: when they could not be restored; the next build tries again.
    """
    _restore(settings, built.layer, built.variables)


def publish_recent(settings: Settings, run_id: str, layer: Layer) -> None:
    """Build and publish a layer up to the last recorded row: operations or decisions.

    Raises:
        BuildFailed: naming the models or tests that failed.
    """
    # Their slice is the recently recorded rows, independent of source, dates and labels. Refused
    # rows belong to a source and change with its builds only.
    no_day = Window("none", date.min, date.min)
    build_and_publish(settings, window=no_day, run_id=run_id, dates=(), layer=layer)


def publish_models(settings: Settings, window: Window, run_id: str) -> None:
    """Build and publish the source's rows of `dim_models` up to the last training result.

    Raises:
        BuildFailed: naming the models or tests that failed.
    """
    build_and_publish(settings, window=window, run_id=run_id, dates=(), layer="models")


def undo_rebuild(settings: Settings) -> None:
    """Restore every audited mart from PRODUCTION if a full refresh did not finish.

    Raises:
        BuildFailed: when they could not be restored; the next build tries again.
    """
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        left = connection.execute(
            "select from production_audit.layer_state where layer = %s", (REBUILD,)
        ).fetchone()
    if left is not None:
        dbt_runner.operation(settings, "restore_rebuilt")
        settle_rebuild(settings)


def settle_rebuild(settings: Settings) -> None:
    """Record that the audited marts equal PRODUCTION: no refresh and no slice is unpublished."""
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        connection.execute("delete from production_audit.layer_state where layer = %s", (REBUILD,))
        connection.execute(
            "update production_audit.layer_state set unpublished = null, run_id = null"
            " where unpublished is not null and layer = any(%s)",
            (list(_SELECTED),),
        )


def published_until(settings: Settings, layer: Layer = "core") -> dict[str, date]:
    """Return the published as-of date of each source."""
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        rows = connection.execute(
            "select source_system, published_as_of from production_audit.layer_state"
            " where layer = %s and published_as_of is not null order by source_system",
            (_state_name(settings, layer),),
        ).fetchall()
    return dict(rows)


def build_as_known(settings: Settings, source: str, as_of: date, reports: Iterable[str]) -> None:
    """Build and test reports on a source as known on a date, in `production_as_known`.

    The models that they need, except the facts of PRODUCTION, are built with them. Earlier reports
    in that schema are dropped.

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
    """Write dbt's documentation as one static page, and return its path.

    Raises:
        BuildFailed: when dbt could not read the project or the warehouse.
    """
    dbt_runner.run(settings, "core", ["docs", "generate", "--static"], {}, [], target="production")
    page = settings.state_dir / "docs" / "dbt" / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(dbt_runner.target_path(settings, "production") / "static_index.html", page)
    return page


def _require_this_version(settings: Settings) -> None:
    """Refuse marts with other columns before dbt runs, because dbt's message is about a query."""
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        others = outdated(connection, "production_audit")
    if others:
        raise BuildFailed(
            f"{', '.join(others)} have other columns than declared: another version of the project"
            " built them. `python -m expectations.full_refresh` rebuilds all marts from STAGING."
        )


def require_waiting(connection: psycopg.Connection, layer: str, built: BuildResult) -> None:
    """Require that the audited slices are those of this build before they are read.

    Raises:
        BuildFailed: when another build or a rebuild has replaced it.
    """
    waiting = connection.execute(
        "select run_id from production_audit.layer_state where layer = %s and source_system = %s",
        (layer, built.window.source),
    ).fetchone()
    if waiting != (built.run_id,):
        raise BuildFailed(
            f"the marts that run {built.run_id} built on {built.window.key} were replaced by"
            " another run or a full refresh. Nothing was changed; build them again."
        )


def _state(
    connection: psycopg.Connection, layer: str, source: str
) -> tuple[date | None, list[dict[str, Any]]]:
    """Return the published as-of date of a source, and the unpublished slices of the layer."""
    rows = connection.execute(
        "select source_system, published_as_of, unpublished"
        " from production_audit.layer_state where layer = %s",
        (layer,),
    ).fetchall()
    published = {row[0]: row[1] for row in rows}.get(source)
    return published, [row[2] for row in rows if row[2] is not None]


def _state_name(settings: Settings, layer: Layer) -> str:
    """Return the name of the layer's state, which Postgres stores for every warehouse."""
    kind = settings.warehouse.kind
    return layer if kind == "postgres" else f"{layer} on {kind}"


def _knowledge(window: Window, published: date | None, as_of: date | None) -> Knowledge:
    until = as_of or max(window.end, published or window.end)
    # From the day after the last publication, so that labels of a skipped day are included. Labels
    # known earlier are new only on the built dates, which are built in full.
    return Knowledge((published or until) + timedelta(days=1), until)


def _variables(
    settings: Settings, source: str, days: tuple[date, ...], knowledge: Knowledge
) -> dict[str, str | list[list[str]]]:
    declared = find(source)
    return {
        "source": source,
        "zone": declared.zone if declared else "UTC",
        "dates": [[a.isoformat(), b.isoformat()] for a, b in date_ranges(days)],
        "known_from": knowledge.known_from.isoformat(),
        "as_of": knowledge.as_of.isoformat(),
        "reader": settings.warehouse.user("reader"),
    }


def _restore(settings: Settings, layer: Layer, variables: dict[str, Any]) -> None:
    dbt_runner.operation(settings, "restore", layer, variables, _TARGET.get(layer, "audit"))
    with psycopg.connect(settings.warehouse.dsn("transformer")) as connection:
        connection.execute(
            "update production_audit.layer_state set unpublished = null, run_id = null"
            " where layer = %s and source_system = %s",
            (_state_name(settings, layer), variables["source"]),
        )


def _balances(settings: Settings, source: str, days: tuple[date, ...]) -> tuple[Balance, ...]:
    """Return rows and money of STAGING and of the audited fact, on the dates of the build."""
    totals: dict[tuple[str, str], list[Any]] = {}
    spans = " or ".join(f"event_date between '{a}' and '{b}'" for a, b in date_ranges(days))
    queries = [
        "select source_system, currency, count(*), sum(amount)::text"  # noqa: S608 - our names
        f" from {name} where source_system = '{source}' and ({spans or 'false'}) group by 1, 2"
        for name in ("staging.transactions", "production_audit.fct_transactions")
    ]
    for side, rows in enumerate(query.answers(settings, queries)):
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
