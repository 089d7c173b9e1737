"""The run ledger in STAGING: the result of each stage, for the next stage and for the marts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, TypeVar

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from contracts.results import GateResult, TaskAttempt
from contracts.stage_results import StageResult
from contracts.stages import Stage
from contracts.tables import TABLES
from contracts.windows import Window


class LedgerError(LookupError):
    """Raised when the ledger has no run of a stage over a window."""


_FLOWS: Final = tuple(
    name
    for name in TABLES["staging.run_balances"].column_names
    if name.startswith(("rows_", "amount_"))
)

_IN_DETAILS: Final = ("snapshots", "branch", "details")
"""Parts of a result that are stored in the column `details`."""

_TASK_COLUMNS: Final = TABLES["staging.run_tasks"].column_names
_R = TypeVar("_R", bound=StageResult)


def record(
    dsn: str,
    result: StageResult,
    started_at: datetime,
    finished_at: datetime,
    started_by: str | None = None,
) -> None:
    """Write a run and its balances, replacing an earlier record of the same run.

    `started_by` is the login of the user who triggered the run; None for a scheduled run.

    Raises:
        ConservationError: when a balance does not add up; a check constraint says the same.
    """
    plain = result.check().to_dict()
    details = {name: plain[name] for name in _IN_DETAILS}
    seconds = (finished_at - started_at).total_seconds()
    with psycopg.connect(dsn) as connection:
        # A retry of the run may be recording at the same moment.
        connection.execute(
            "select pg_advisory_xact_lock(hashtext(%s))", (f"{result.run_id} {result.stage}",)
        )
        run = (result.run_id, str(result.stage))
        for table in ("run_balances", "run_ledger"):
            delete = sql.SQL("delete from staging.{} where run_id = %s and stage = %s")
            connection.execute(delete.format(sql.Identifier(table)), run)
        connection.execute(
            "insert into staging.run_ledger (run_id, stage, window_key, started_by, started_at,"
            " finished_at, duration_seconds, dates_touched, details)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                *run,
                result.window.key,
                started_by,
                started_at,
                finished_at,
                seconds,
                list(result.dates),
                Jsonb(details),
            ),
        )
        with connection.cursor() as cursor:
            columns = ("run_id", "stage", "window_key", "source_system", "currency", *_FLOWS)
            cursor.executemany(
                sql.SQL("insert into staging.run_balances ({}) values ({})").format(
                    _listed(columns), sql.SQL(", ").join(sql.Placeholder() for _ in columns)
                ),
                [
                    (
                        *run,
                        result.window.key,
                        balance.source_system,
                        balance.currency,
                        *(getattr(balance, flow) for flow in _FLOWS),
                    )
                    for balance in result.balances
                ],
            )


def _listed(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def latest(dsn: str, kind: type[_R], window: Window) -> _R:
    """Return the result of the last finished run of a stage over a window, of the class `kind`.

    Raises:
        LedgerError: when no run of it is recorded.
        ResultFormError: when another version recorded it, without a field of this one.
    """
    with psycopg.connect(dsn, row_factory=psycopg.rows.dict_row) as connection:
        run = connection.execute(
            "select run_id, dates_touched, details from staging.run_ledger"
            " where stage = %s and window_key = %s order by finished_at desc limit 1",
            (str(kind.stage), window.key),
        ).fetchone()
        if run is None:
            raise LedgerError(
                f"the ledger has no run of stage {kind.stage} over window {window.key}:"
                " run it first."
            )
        balances = connection.execute(
            sql.SQL(
                "select {} from staging.run_balances where run_id = %s and stage = %s"
                " order by source_system, currency"
            ).format(_listed(("source_system", "currency", *_FLOWS))),
            (run["run_id"], str(kind.stage)),
        ).fetchall()
    return kind.from_dict(
        {
            "window": window.key,
            "run_id": run["run_id"],
            "dates": run["dates_touched"],
            "balances": balances,
            **run["details"],
        }
    )


def is_recorded(dsn: str, stage: Stage, run_id: str) -> bool:
    """Return whether a run has recorded its result, which it does after it published."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select 1 from staging.run_ledger where run_id = %s and stage = %s",
            (run_id, str(stage)),
        ).fetchone()
    return row is not None


def record_task(dsn: str, attempt: TaskAttempt) -> None:
    """Write the metrics of an attempt at a task, replacing an earlier record of the attempt."""
    key = (attempt.run_id, str(attempt.stage), attempt.task, attempt.attempt)
    values = (
        *(attempt.run_id, str(attempt.stage), attempt.window.key, attempt.task, attempt.attempt),
        *(attempt.outcome, attempt.started_at, attempt.finished_at, attempt.seconds),
        *(attempt.cpu_seconds, attempt.peak_memory_mib),
        *(attempt.bytes_read, attempt.bytes_written),
        *(attempt.spark_cpu_seconds, attempt.spark_peak_memory_mib),
    )
    # A finished task must not wait long for a warehouse that does not respond.
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        connection.execute(
            "delete from staging.run_tasks where run_id = %s and stage = %s and task_name = %s"
            " and attempt_number = %s",
            key,
        )
        connection.execute(
            sql.SQL("insert into staging.run_tasks ({}) values ({})").format(
                _listed(_TASK_COLUMNS), sql.SQL(", ").join(sql.Placeholder() for _ in values)
            ),
            values,
        )


def record_gate(dsn: str, result: GateResult, checked_at: datetime | None = None) -> None:
    """Append a gate result, with one row for each check.

    Raises:
        ValueError: when two checks of a table have the same name.
    """
    at = checked_at or datetime.now(UTC)
    names = [(check.table, check.name) for check in result.checks]
    repeated = sorted({f"{t}: {n}" for t, n in names if names.count((t, n)) > 1})
    if repeated:
        raise ValueError(f"gate {result.gate} names a check twice: {', '.join(repeated)}")
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into staging.gate_results (run_id, gate, window_key, check_name, table_name,"
            " column_name, severity, is_passed, observed, expected, check_reason, checked_at)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    result.run_id,
                    str(result.gate),
                    result.window.key,
                    check.name,
                    check.table,
                    check.column,
                    check.severity,
                    check.passed,
                    check.observed,
                    check.expected,
                    check.reason,
                    at,
                )
                for check in result.checks
            ],
        )


def snapshots_in_use(dsn: str, since: datetime) -> dict[str, set[int]]:
    """Return the snapshots that later stages still have to read, by table, from the run ledger.

    They are named by the latest results of process and prepare of each window that is not loaded
    yet; for features, of each window that is not scored yet. Results from before `since` are
    ignored.
    """
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "with latest as (select distinct on (stage, window_key) stage, window_key, finished_at,"
            " details -> 'snapshots' as snapshots from staging.run_ledger"
            " order by stage, window_key, finished_at desc)"
            " select named.key, named.value::bigint from latest as made"
            " left join latest as loaded on loaded.window_key = made.window_key"
            " and loaded.stage = 'load' and loaded.finished_at >= made.finished_at"
            " left join latest as scored on scored.window_key = made.window_key"
            " and scored.stage = 'score' and scored.finished_at >= made.finished_at"
            " cross join lateral jsonb_each_text(made.snapshots) as named (key, value)"
            " where made.stage in ('process', 'redrive', 'prepare') and made.finished_at >= %s"
            " and (loaded.stage is null"
            " or named.key = 'sandbox.features' and scored.stage is null)",
            (since,),
        ).fetchall()
    snapshots: dict[str, set[int]] = defaultdict(set)
    for table, snapshot in rows:
        snapshots[table].add(snapshot)
    return dict(snapshots)
