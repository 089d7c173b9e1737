"""Resume windows that wait between two DAGs: `python -m demo.catch_up`."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence

import psycopg

from contracts.settings import Settings, SettingsError, load_settings
from contracts.windows import Window, WindowError
from demo.airflow import AirflowAwayError, AirflowClient
from warehouse import waiting


def catch_up(settings: Settings, *, dry_run: bool) -> list[str]:
    """Trigger the next DAG of each window that waits; return a sentence for each.

    A window with an active run of that DAG is left to it.
    """
    windows = waiting.waiting_windows(settings.warehouse.dsn("loader"))
    if dry_run or not windows:
        return [str(window) for window in windows] or ["No window waits."]
    sentences = []
    with AirflowClient(settings) as client:
        dag_ids = {window.dag_id for window in windows}
        active = {dag_id: client.active_windows(dag_id) for dag_id in dag_ids}
        paused = {dag_id for dag_id in dag_ids if client.is_paused(dag_id)}
        for window in windows:
            done = "has an active run"
            if window.window.key not in active[window.dag_id]:
                client.trigger(window.dag_id, window.window)
                done = "triggered"
            if window.dag_id in paused:
                done += f", which waits until {window.dag_id} is unpaused"
            sentences.append(f"{window}: {done}")
    return sentences


def abandon(settings: Settings, window: Window, reason: str | None, *, dry_run: bool) -> str:
    """Let a window wait no longer; return a sentence about it.

    Raises:
        AbandonError: when the window does not wait.
    """
    dsn, user = settings.warehouse.dsn("loader"), getpass.getuser()
    abandoned = waiting.abandon(dsn, window, reason, user, dry_run=dry_run)
    return f"{abandoned}: {'would be ' * dry_run}abandoned"


def undo(settings: Settings, window: Window, *, dry_run: bool) -> str:
    """Let an abandoned window wait again; return a sentence about it.

    Raises:
        AbandonError: when the window is not abandoned.
    """
    waiting.undo(settings.warehouse.dsn("loader"), window, getpass.getuser(), dry_run=dry_run)
    return f"{window.key} {'would wait' if dry_run else 'waits'} again"


def main(arguments: Sequence[str]) -> int:
    """Run the command line and print the result or the error."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.catch_up",
        description="List the windows that wait between two DAGs, and trigger their next DAG. Or"
        " abandon one that is not to be processed further.",
    )
    parser.add_argument("--dry-run", action="store_true", help="show it and change nothing")
    parser.add_argument("--abandon", metavar="WINDOW", help="a window, as sparkov@2024-05-01")
    parser.add_argument("--reason", help="why it is abandoned, recorded with your login")
    parser.add_argument("--undo", action="store_true", help="let the abandoned window wait again")
    options = parser.parse_args(arguments)
    if options.abandon is None and (options.undo or options.reason):
        parser.error("name the window with --abandon")
    if options.abandon and not (options.undo or options.dry_run or options.reason):
        parser.error("give the reason: --reason 'the source sent it by mistake'")
    dry_run = options.dry_run
    try:
        settings = load_settings()
        if options.abandon is None:
            sentences = catch_up(settings, dry_run=dry_run)
        elif options.undo:
            sentences = [undo(settings, Window.parse(options.abandon), dry_run=dry_run)]
        else:
            window = Window.parse(options.abandon)
            sentences = [abandon(settings, window, options.reason, dry_run=dry_run)]
        print("\n".join(sentences))
    except (
        SettingsError,
        AirflowAwayError,
        WindowError,
        waiting.AbandonError,
        psycopg.OperationalError,
    ) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
