"""Windows that have passed a stage and wait for the next one, from the run ledger.

A DAG that is paused, or whose run failed, leaves such windows; no other DAG triggers them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import psycopg

from contracts.assets import DAG_OF_STAGE
from contracts.stages import WINDOW_STAGES, Stage
from contracts.windows import Window


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

    A window that passed a stage again waits again for the next one. A closed window, which landed
    without rows, waits for none. Only windows that were built after their source had a champion
    wait for scores.
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
    waiting = [_first_gap(Window.parse(key), times, champions) for key, times in finished.items()]
    return sorted(filter(None, waiting), key=lambda item: (item.since, item.window))


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
