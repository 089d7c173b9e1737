"""Take back a payment, a party or a delivery: `python -m demo.withdraw`."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence

import psycopg

from contracts.assets import DAG_OF_STAGE
from contracts.settings import Settings, SettingsError, load_settings
from contracts.stages import Stage
from contracts.windows import Window
from contracts.withdrawals import Withdrawal, WithdrawalKind
from demo.airflow import AirflowAwayError, AirflowClient
from sources.currencies import formatted
from warehouse import withdrawals


def withdraw(
    settings: Settings, withdrawal: Withdrawal, reason: str, *, dry_run: bool
) -> list[str]:
    """Withdraw and process the windows concerned again; return sentences about it.

    A dry run writes and triggers nothing.

    Raises:
        WithdrawalError: when STAGING has no such payment.
        AirflowAwayError: when Airflow does not respond; the withdrawal is recorded.
    """
    dsn = settings.warehouse.dsn("loader")
    found = withdrawals.concerned(dsn, withdrawal)
    sentences = [
        f"{count} payment{'s' * (count != 1)} of the {withdrawal},"
        f" {formatted(amount, currency)} {currency}"
        for currency, (count, amount) in found.amounts.items()
    ]
    if dry_run:
        return [*sentences, *(f"{window.key} would be processed again" for window in found.windows)]
    withdrawals.record(dsn, withdrawal, reason, getpass.getuser())
    return [*sentences, *_process_again(settings, found.windows)]


def undo(settings: Settings, withdrawal: Withdrawal, *, dry_run: bool) -> list[str]:
    """Undo a withdrawal and process the windows with withdrawn payments again.

    Raises: as `withdraw`.
    """
    dsn = settings.warehouse.dsn("loader")
    if not dry_run:
        withdrawals.undo(dsn, withdrawal, getpass.getuser())
    windows = withdrawals.quarantined(dsn, withdrawal.source)
    if dry_run:
        return [f"{window.key} would be processed again" for window in windows]
    return _process_again(settings, windows)


def _process_again(settings: Settings, windows: Sequence[Window]) -> list[str]:
    dag_id = DAG_OF_STAGE[Stage.PROCESS]
    with AirflowClient(settings) as client:
        for window in windows:
            client.trigger(dag_id, window)
        paused = f", which waits until {dag_id} is unpaused" if client.is_paused(dag_id) else ""
    return [f"{window.key}: triggered {dag_id}{paused}" for window in windows]


def main(arguments: Sequence[str]) -> int:
    """Run the command line and print the result or the error."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.withdraw",
        description="Take back a payment, a party or a delivery from all tables but Raw.",
    )
    parser.add_argument("--source", required=True, help="source system, as sparkov")
    kinds = parser.add_mutually_exclusive_group(required=True)
    for kind in WithdrawalKind:
        kinds.add_argument(f"--{kind}", metavar="KEY", help=f"key of a {kind} in staging")
    parser.add_argument("--reason", help="why, recorded with your login")
    parser.add_argument("--undo", action="store_true", help="let the payments in again")
    parser.add_argument("--dry-run", action="store_true", help="show what would happen")
    options = parser.parse_args(arguments)
    if not (options.undo or options.dry_run or options.reason):
        parser.error("give the reason for the withdrawal: --reason 'test data of the bank'")
    kind, key = next((k, vars(options)[k]) for k in WithdrawalKind if vars(options)[k] is not None)
    withdrawal = Withdrawal(options.source, kind, key)
    try:
        settings = load_settings()
        if options.undo:
            sentences = undo(settings, withdrawal, dry_run=options.dry_run)
        else:
            sentences = withdraw(settings, withdrawal, options.reason, dry_run=options.dry_run)
    except (
        SettingsError,
        AirflowAwayError,
        psycopg.OperationalError,
        withdrawals.WithdrawalError,
    ) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(sentences))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
