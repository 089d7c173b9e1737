"""Resume windows that wait between two DAGs: `python -m demo.catch_up`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import psycopg

from contracts.settings import Settings, SettingsError, load_settings
from demo.airflow import AirflowAwayError, AirflowClient
from warehouse.waiting import waiting_windows


def catch_up(settings: Settings, *, dry_run: bool) -> list[str]:
    """Trigger the next DAG of each window that waits; return a sentence for each.

    A window with an active run of that DAG is left to it.
    """
    waiting = waiting_windows(settings.warehouse.dsn("loader"))
    if dry_run or not waiting:
        return [str(window) for window in waiting] or ["No window waits."]
    sentences = []
    with AirflowClient(settings) as client:
        dag_ids = {window.dag_id for window in waiting}
        active = {dag_id: client.active_windows(dag_id) for dag_id in dag_ids}
        paused = {dag_id for dag_id in dag_ids if client.is_paused(dag_id)}
        for window in waiting:
            done = "has an active run"
            if window.window.key not in active[window.dag_id]:
                client.trigger(window.dag_id, window.window)
                done = "triggered"
            if window.dag_id in paused:
                done += f", which waits until {window.dag_id} is unpaused"
            sentences.append(f"{window}: {done}")
    return sentences


def main(arguments: Sequence[str]) -> int:
    """Run the command line and print the result or the error."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.catch_up",
        description="List the windows that wait between two DAGs, and trigger their next DAG.",
    )
    parser.add_argument("--dry-run", action="store_true", help="list them and trigger nothing")
    options = parser.parse_args(arguments)
    try:
        for sentence in catch_up(load_settings(), dry_run=options.dry_run):
            print(sentence)
    except (SettingsError, AirflowAwayError, psycopg.OperationalError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
