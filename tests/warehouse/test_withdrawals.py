"""Withdrawals: what they concern, who recorded and undid them, and the command."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any

import psycopg
import pytest

from contracts.settings import Settings
from contracts.stage_results import ProcessResult
from contracts.windows import Window
from contracts.withdrawals import Withdrawal, WithdrawalKind
from demo import withdraw as command
from tests.stage_results import result_of
from tests.warehouse.conftest import Lake
from tests.warehouse.test_waiting import _NOON
from warehouse import ledger, load, withdrawals

pytestmark = pytest.mark.postgres
HISTORY = "2024-05-01--2024-05-04"
DAYS = tuple(date(2024, 5, day) for day in range(1, 5))
PAYMENT = Withdrawal("sparkov", WithdrawalKind.PAYMENT, "2024-05-02/3")


@pytest.fixture
def dsn(warehouse: Settings, loader: psycopg.Connection, lake: Lake) -> str:
    """Return a login to STAGING with four days of payments, and the run that processed them."""
    login = warehouse.warehouse.dsn("loader")
    load.swap(login, load.stage(lake.catalog, login, *lake.publish(HISTORY), "load 1"))
    for window, days in ((HISTORY, DAYS), ("2024-05-01", DAYS[:1])):
        run = result_of(ProcessResult, f"sparkov@{window}", f"process {window}", dates=days)
        ledger.record(login, run, _NOON, _NOON)
    return login


class _Airflow:
    """Airflow, with what was triggered."""

    triggered: list[tuple[str, str]]

    def __enter__(self) -> "_Airflow":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None
    ) -> None:
        pass

    def is_paused(self, dag_id: str) -> bool:
        return False

    def trigger(self, dag_id: str, window: Window) -> None:
        self.triggered.append((dag_id, window.key))


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch, warehouse: Settings) -> _Airflow:
    """Give the command this warehouse, and an Airflow that only remembers."""
    made = _Airflow()
    made.triggered = []
    monkeypatch.setattr(command, "AirflowClient", lambda _: made)
    monkeypatch.setattr(command, "load_settings", lambda: warehouse)
    return made


def test_the_payments_and_windows_of_each_kind(dsn: str) -> None:
    found = withdrawals.concerned(dsn, PAYMENT)
    assert found.amounts == {"USD": (1, Decimal("3.37"))}
    assert found.windows == (Window.of("sparkov", HISTORY),)
    for kind, key, count in (
        (WithdrawalKind.CUSTOMER, "customer 1", 12),
        (WithdrawalKind.MERCHANT, "merchant 1", 16),
        (WithdrawalKind.DELIVERY, "raw/2024-05-01", 12),
    ):
        found = withdrawals.concerned(dsn, Withdrawal("sparkov", kind, key))
        assert sum(rows for rows, _ in found.amounts.values()) == count
        assert len(found.windows) == 2


def test_the_command_withdraws_and_undoes(
    dsn: str, airflow: _Airflow, loader: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--source", "sparkov", "--payment", PAYMENT.key]
    shown = f"1 payment of the {PAYMENT}, 3.37 USD\nsparkov@{HISTORY}"

    assert command.main([*asked, "--dry-run"]) == 0
    assert capsys.readouterr().out == f"{shown} would be processed again\n"
    assert (withdrawals.active(dsn, "sparkov"), airflow.triggered) == ((), [])

    for _ in range(2):
        assert command.main([*asked, "--reason", "a test of the bank"]) == 0
        assert capsys.readouterr().out == f"{shown}: triggered process_transactions\n"
    assert withdrawals.active(dsn, "sparkov") == (PAYMENT,)
    assert withdrawals.active(dsn, "handbook") == ()
    assert airflow.triggered == [("process_transactions", f"sparkov@{HISTORY}")] * 2

    assert command.main([*asked, "--undo"]) == 0
    assert withdrawals.active(dsn, "sparkov") == ()
    recorded = loader.execute(
        "select withdrawal_kind, withdrawn_key, withdrawal_reason, undone_at >= withdrawn_at,"
        " undone_by = withdrawn_by from staging.withdrawals"
    ).fetchall()
    assert recorded == [("payment", PAYMENT.key, "a test of the bank", True, True)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--payment", "nobody"], "STAGING has no payment of the payment nobody of sparkov"),
        (["--payment", PAYMENT.key, "--undo"], "is not withdrawn: there is nothing to undo"),
    ],
)
def test_what_is_not_there_is_a_sentence(
    dsn: str,
    airflow: _Airflow,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    assert command.main(["--source", "sparkov", *arguments, "--reason", "no"]) == 1
    assert sentence in capsys.readouterr().err
    assert (withdrawals.active(dsn, "sparkov"), airflow.triggered) == ((), [])


def test_a_withdrawal_needs_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--source", "sparkov", "--payment", "p"])
    assert "give the reason" in capsys.readouterr().err


def test_parties_are_those_of_the_payments_that_remain(
    dsn: str, lake: Lake, loader: psycopg.Connection
) -> None:
    def reload(window: str, days: Sequence[date]) -> dict[str, datetime]:
        """Load a window in which one payment a day remains; return the last one by customer."""
        processed, prepared = lake.publish(window, dict.fromkeys(days, 1))
        processed = replace(processed, withdrawn=11 * len(days))
        load.swap(dsn, load.stage(lake.catalog, dsn, processed, prepared, f"load {window} again"))
        query = "select customer_id, last_event_at from staging.customers"
        return dict(loader.execute(query).fetchall())

    last = reload("2024-05-04", DAYS[3:])
    assert last["customer 0"] == datetime(2024, 5, 4, 12, 0, tzinfo=UTC)
    assert last["customer 1"] == datetime(2024, 5, 3, 12, 11, tzinfo=UTC)
    assert len(last) == 5

    assert reload(HISTORY, DAYS) == {"customer 0": last["customer 0"]}
    merchants = loader.execute("select counterparty_id from staging.merchants").fetchall()
    assert merchants == [("merchant 0",)]
