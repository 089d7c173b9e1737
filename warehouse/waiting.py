"""Windows that have passed a stage and wait for the next one, from the run ledger.

A DAG that is paused, or whose run failed, leaves such windows; no other DAG triggers them. A window
that is not to be processed further is abandoned, and waits no longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

import psycopg

from contracts.assets import DAG_OF_STAGE
from contracts.stages import WINDOW_STAGES, Stage
from contracts.windows import Window

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class AbandonError(ValueError):
    """Raised when there is no wait to end, or no abandoned window; the message says what to do."""


@dataclass(frozen=True)
class WaitingWindow:
    """A window, the last stage that it passed and when, and the stage that it waits for."""

    window: Window
    passed: Stage
    since: datetime
    stage: Stage

    @property
    def dag_id(self) -> str:
        """Return the DAG that takes the window further."""
        return DAG_OF_STAGE[self.stage]

    def __str__(self) -> str:
        return (
            f"{self.window.key} waits for {self.dag_id} since {self.since:%Y-%m-%d %H:%M} UTC,"
            f" when stage {self.passed} finished"
        )


def waiting_windows(dsn: str) -> list[WaitingWindow]:
    """Return the waiting windows, longest wait first.

    A window that passed a stage again waits again for the next one, also when it was abandoned
    before. A closed window, which landed without rows, waits for none. Only windows that were built
    after their source had a champion wait for scores.
    """
    with psycopg.connect(dsn) as connection:
        finished: dict[str, dict[Stage, datetime]] = {}
        for key, stage, at in connection.execute(
            "select window_key, stage, max(finished_at) from staging.run_ledger"
            " where stage = any(%s) and window_key like '%%@%%' and (stage <> 'land' or run_id in"
            " (select run_id from staging.run_balances where rows_out > 0))"
            " group by window_key, stage",
            ([str(stage) for stage in WINDOW_STAGES],),
        ):
            finished.setdefault(key, {})[Stage(stage)] = at
        champions: dict[str, datetime] = dict(
            connection.execute(
                "select source_system, min(promoted_at) from staging.model_versions"
                " where promoted_at is not null group by source_system"
            ).fetchall()
        )
        abandoned: dict[str, datetime] = dict(
            connection.execute(
                "select window_key, max(abandoned_at) from staging.abandoned_windows"
                " where undone_at is null group by window_key"
            ).fetchall()
        )
    waiting = [_first_gap(Window.parse(key), times, champions) for key, times in finished.items()]
    return sorted(
        (item for item in waiting if item and item.since > abandoned.get(item.window.key, _NEVER)),
        key=lambda item: (item.since, item.window),
    )


def abandon(
    dsn: str, window: Window, reason: str | None, user: str, *, dry_run: bool
) -> WaitingWindow:
    """Record that a window waits no longer, and return it; a dry run records nothing.

    Raises:
        AbandonError: when the window does not wait.
    """
    matches = [item for item in waiting_windows(dsn) if item.window == window]
    if not matches:
        raise AbandonError(
            f"{window.key} waits for no stage: there is nothing to abandon. `make catch-up DRY=1`"
            " lists the windows that wait."
        )
    if not dry_run:
        with psycopg.connect(dsn) as connection:
            connection.execute(
                "insert into staging.abandoned_windows"
                " (window_key, abandoned_at, abandoned_by, abandonment_reason)"
                " values (%s, now(), %s, %s)",
                (window.key, user, reason),
            )
    return matches[0]


def undo(dsn: str, window: Window, user: str, *, dry_run: bool) -> None:
    """Record that a window is no longer abandoned; a dry run records nothing.

    Raises:
        AbandonError: when it is not abandoned.
    """
    with psycopg.connect(dsn) as connection:
        done = connection.execute(
            "update staging.abandoned_windows set undone_at = now(), undone_by = %s"
            " where window_key = %s and undone_at is null",
            (user, window.key),
        )
        if not done.rowcount:
            raise AbandonError(f"{window.key} is not abandoned: there is nothing to undo.")
        if dry_run:
            connection.rollback()


def _first_gap(
    window: Window, times: dict[Stage, datetime], champions: dict[str, datetime]
) -> WaitingWindow | None:
    for passed, stage in pairwise(WINDOW_STAGES):
        since = times.get(passed)
        if since is None or (stage in times and times[stage] >= since):
            continue
        champion = champions.get(window.source)
        if stage is Stage.SCORE and (champion is None or champion > since):
            continue
        return WaitingWindow(window, passed, since, stage)
    return None
