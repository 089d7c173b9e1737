"""The tables that a load copies, their origins, and its result; the same in every warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from contracts.stage_results import LoadResult, PrepareResult, ProcessResult, StagedTable
from contracts.tables import TABLES, Table
from lake.dates import touched_dates
from warehouse import reconcile

SOURCES: Final = {
    "staging.transactions": "processed.transactions",
    "staging.labels": "processed.labels",
    "staging.features": "sandbox.features",
    "staging.customers": "processed.customers",
    "staging.merchants": "processed.merchants",
    "staging.quarantine": "processed.quarantine",
}
PARTIES: Final = ("staging.customers", "staging.merchants")
_SHOWN_DIFFERENCES: Final = 50


class LoadError(RuntimeError):
    """Raised when staged tables cannot be attached; run the load again."""


@dataclass(frozen=True)
class Copy:
    """One table to copy: its declaration in STAGING, source table, snapshot and dates."""

    table: Table
    source: str
    snapshot: int
    dates: tuple[date, ...]


@dataclass(frozen=True)
class Copied:
    """A shadow table, and the measures of both sides of the copy."""

    copy: Copy
    beside: str
    sequence: int
    lake: reconcile.Measures
    staging: reconcile.Measures

    def staged(self) -> StagedTable:
        """Return the facts that the gate and the swap read."""
        differences = reconcile.differences(self.copy.table, self.lake, self.staging)
        return StagedTable(
            sequence=self.sequence,
            rows=int(sum(group["rows"] for group in self.staging.values())),
            dates=self.copy.dates,
            differences=differences[:_SHOWN_DIFFERENCES],
        )


def of(processed: ProcessResult, prepared: PrepareResult) -> list[Copy]:
    # Sandbox may have read later snapshots of Processed: these are loaded together with it.
    snapshots = {**processed.snapshots, **prepared.snapshots}
    missing = sorted(source for source in SOURCES.values() if source not in snapshots)
    if missing:
        raise LoadError(f"window {processed.window.key} has no snapshot of {', '.join(missing)}.")

    def dates(source: str) -> tuple[date, ...]:
        result = prepared if source.startswith("sandbox.") else processed
        return touched_dates(result, TABLES[source])

    return [
        Copy(TABLES[target], source, snapshots[source], dates(source))
        for target, source in SOURCES.items()
    ]


def result(
    processed: ProcessResult, prepared: PrepareResult, run_id: str, tables: dict[str, Copied]
) -> LoadResult:
    """Return the result of staging, which the gate and the swap read."""
    payments = tables["staging.transactions"]
    return LoadResult(
        window=processed.window,
        run_id=run_id,
        dates=tuple(sorted({*processed.dates, *prepared.dates})),
        snapshots={table.copy.source: table.copy.snapshot for table in tables.values()},
        balances=reconcile.balances(payments.lake, payments.staging),
        beside={name: table.beside for name, table in tables.items()},
        tables={name: table.staged() for name, table in tables.items()},
        withdrawn=processed.withdrawn > 0,
    )


def require_agreement(staged: LoadResult) -> None:
    """Require that the staged tables equal the lake.

    Raises:
        ConservationError: when the balances do not hold.
        LoadError: when a table differs from the lake.
    """
    staged.check()
    for name, table in staged.tables.items():
        if table.differences:
            first = table.differences[0]
            raise LoadError(
                f"{name} differs from the lake: {first.measure} of {first.group} is"
                f" {first.staging} instead of {first.lake}; nothing was attached."
            )
