"""Withdrawals: payments, parties and deliveries that should not be there and are taken back."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class WithdrawalKind(StrEnum):
    """A code in `staging.withdrawals.withdrawal_kind`."""

    PAYMENT = "payment"
    CUSTOMER = "customer"
    MERCHANT = "merchant"
    DELIVERY = "delivery"


WITHDRAWN_COLUMN: Final[Mapping[WithdrawalKind, str]] = {
    WithdrawalKind.PAYMENT: "event_id",
    WithdrawalKind.CUSTOMER: "customer_id",
    WithdrawalKind.MERCHANT: "counterparty_id",
    WithdrawalKind.DELIVERY: "raw_object",
}
"""The column of `processed.transactions` that has the key of a withdrawal."""


@dataclass(frozen=True)
class Withdrawal:
    """What is taken back of a source; a customer is named by its token."""

    source: str
    kind: WithdrawalKind
    key: str

    def __str__(self) -> str:
        return f"{self.kind} {self.key} of {self.source}"
