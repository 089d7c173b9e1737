"""Withdrawals in STAGING, and the payments and windows that each concerns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import psycopg
from psycopg import sql

from contracts.reasons import RejectReason
from contracts.windows import Window
from contracts.withdrawals import WITHDRAWN_COLUMN, Withdrawal, WithdrawalKind

_SAME: Final = "source_system = %s and withdrawal_kind = %s and withdrawn_key = %s"


class WithdrawalError(ValueError):
    """Raised when there is nothing to withdraw, or nothing to undo."""


@dataclass(frozen=True)
class Concerned:
    """The payments of a withdrawal in STAGING by currency, and the windows to process again."""

    amounts: dict[str, tuple[int, Decimal]]
    windows: tuple[Window, ...]


def active(dsn: str, source: str) -> tuple[Withdrawal, ...]:
    """Return the withdrawals of a source that are not undone."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select distinct withdrawal_kind, withdrawn_key from staging.withdrawals"
            " where source_system = %s and undone_at is null order by 1, 2",
            (source,),
        ).fetchall()
    return tuple(Withdrawal(source, WithdrawalKind(kind), key) for kind, key in rows)


def concerned(dsn: str, withdrawal: Withdrawal) -> Concerned:
    """Return what a withdrawal would take back, by the payments in STAGING.

    The windows are those that have written the dates of these payments.

    Raises:
        WithdrawalError: when STAGING has no such payment.
    """
    where = sql.SQL("source_system = %s and {} = %s").format(
        sql.Identifier(WITHDRAWN_COLUMN[withdrawal.kind])
    )
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            sql.SQL(
                "select currency, count(*), sum(amount), array_agg(distinct event_date)"
                " from staging.transactions where {} group by currency order by currency"
            ).format(where),
            (withdrawal.source, withdrawal.key),
        ).fetchall()
        if not rows:
            raise WithdrawalError(
                f"STAGING has no payment of the {withdrawal}: nothing is withdrawn. Copy the key"
                " from staging.transactions; a customer is named by the token there."
            )
        dates = sorted({day for *_, days in rows for day in days})
        keys = connection.execute(
            "select distinct window_key from staging.run_ledger"
            " where stage = 'process' and window_key like %s and dates_touched && %s",
            (f"{withdrawal.source}@%", dates),
        ).fetchall()
    return Concerned({code: (count, amount) for code, count, amount, _ in rows}, _windows(keys))


def quarantined(dsn: str, source: str) -> tuple[Window, ...]:
    """Return the windows of a source with withdrawn payments in quarantine."""
    with psycopg.connect(dsn) as connection:
        keys = connection.execute(
            "select distinct window_key from staging.quarantine"
            " where source_system = %s and %s = any(reasons)",
            (source, str(RejectReason.WITHDRAWN)),
        ).fetchall()
    return _windows(keys)


def _windows(keys: Iterable[tuple[str]]) -> tuple[Window, ...]:
    return tuple(sorted(Window.parse(key) for (key,) in keys))


def record(dsn: str, withdrawal: Withdrawal, reason: str, user: str) -> None:
    """Record a withdrawal, unless it is active already."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into staging.withdrawals (source_system, withdrawal_kind, withdrawn_key,"
            " withdrawn_at, withdrawn_by, withdrawal_reason)"
            " select %(source)s, %(kind)s, %(key)s, now(), %(user)s, %(reason)s"
            " where not exists (select from staging.withdrawals where source_system = %(source)s"
            " and withdrawal_kind = %(kind)s and withdrawn_key = %(key)s and undone_at is null)",
            {
                "source": withdrawal.source,
                "kind": str(withdrawal.kind),
                "key": withdrawal.key,
                "user": user,
                "reason": reason,
            },
        )


def undo(dsn: str, withdrawal: Withdrawal, user: str) -> None:
    """Record that a withdrawal is undone.

    Raises:
        WithdrawalError: when it is not active.
    """
    with psycopg.connect(dsn) as connection:
        done = connection.execute(
            f"update staging.withdrawals set undone_at = now(), undone_by = %s where {_SAME}"  # noqa: S608
            " and undone_at is null".encode(),
            (user, withdrawal.source, str(withdrawal.kind), withdrawal.key),
        )
        if not done.rowcount:
            raise WithdrawalError(f"the {withdrawal} is not withdrawn: there is nothing to undo.")
