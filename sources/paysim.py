"""PaySim: simulated mobile money with hourly steps and without identifiers of payments.

Version 2 of the simulator renamed columns and added one; both sources accept both layouts. Step n
is n hours after a declared midnight, so that the hour of the day is the step modulo 24, as in
published analyses.
"""

from datetime import date
from decimal import Decimal
from typing import Final

from sources.declaration import LABEL_TYPES, WEEK_SECONDS, FileColumn, FixedDelay, Source, Version
from sources.ranges import Ranges
from sources.rules import (
    ByAffix,
    Coded,
    Constant,
    Flags,
    PositionHash,
    RowNumber,
    Rule,
    Steps,
    Take,
)

_BASE: Final = date(2017, 1, 1)
_CHANNELS: Final = {
    "payment": "app",
    "transfer": "transfer",
    "debit": "transfer",
    # An agent handles cash.
    "cash_in": "pos",
    "cash_out": "pos",
}


def _layout(action: str, *others: str) -> tuple[FileColumn, ...]:
    """Return the columns of a version; `others` are its balances, then its flags."""
    balances, flags = others[:4], others[4:]
    return (
        FileColumn("step", ("long", "string")),
        FileColumn(action),
        FileColumn("amount", ("double", "string")),
        FileColumn("nameOrig"),
        FileColumn("nameDest"),
        *(FileColumn(name, ("double", "string")) for name in balances),
        FileColumn("isFraud", LABEL_TYPES),
        *(FileColumn(name, ("long", "string")) for name in flags),
    )


def _mapping(action: str, balances: tuple[str, ...], flags: dict[str, str]) -> dict[str, Rule]:
    return {
        "event_id": PositionHash(),
        "source_sequence": RowNumber(),
        "event_at": Steps("step", _BASE, 3_600),
        "event_at_precision": Constant("hour"),
        "customer_id": Take("nameOrig"),
        "counterparty_id": Take("nameDest"),
        "counterparty_type": ByAffix(
            "nameDest",
            prefixes={"C": "customer", "M": "merchant", "B": "bank"},
            otherwise="unknown",
        ),
        "transaction_type": Coded(action, {}),
        "channel": Coded(action, _CHANNELS),
        "payment_method": Constant("wallet"),
        "amount": Take("amount"),
        "currency": Constant("XXX"),
        "payer_balance_before": Take(balances[0]),
        "payer_balance_after": Take(balances[1]),
        "payee_balance_before": Take(balances[2]),
        "payee_balance_after": Take(balances[3]),
        "source_flags": Flags(flags, rounded=balances),
        "is_fraud": Take("isFraud"),
    }


_OLD: Final = ("oldbalanceOrg", "newbalanceOrig", "oldbalanceDest", "newbalanceDest")
_NEW: Final = ("oldBalanceOrig", "newBalanceOrig", "oldBalanceDest", "newBalanceDest")
_FLAGS: Final = {"isFlaggedFraud": "flagged_fraud"}
_NEW_FLAGS: Final = {**_FLAGS, "isUnauthorizedOverdraft": "unauthorized_overdraft"}
_VERSIONS: Final = (
    Version(
        1,
        "PaySim as published on Kaggle.",
        _layout("type", *_OLD, *_FLAGS),
        _mapping("type", _OLD, _FLAGS),
    ),
    Version(
        2,
        "PaySim 2.0: action instead of type, other capitals, overdrafts flagged.",
        _layout("action", *_NEW, *_NEW_FLAGS),
        _mapping("action", _NEW, _NEW_FLAGS),
    ),
)


def _source(name: str, description: str, rows_per_day: tuple[int, int]) -> Source:
    return Source(
        name=name,
        description=description,
        formats=("csv", "parquet"),
        delivers="whole",
        versions=_VERSIONS,
        # The largest amount of the published log is 92,445,516.64.
        absurd_amount=Decimal("100000000.00"),
        labels=FixedDelay(WEEK_SECONDS),
        rows_per_day=rows_per_day,
        freshness_days=31,
        # Balances are null where a spreadsheet wrote them with an exponent. Extracts are not
        # sampled evenly: days differ by a factor of a thousand, and some have only frauds.
        ranges=Ranges(
            is_steady=False,
            sometimes_null=frozenset(
                ("source_flags", *(name for name in _mapping("", _OLD, {}) if "balance" in name))
            ),
        ),
    )


# The published log has from 2 to 574,255 payments a day; extracts have fewer.
PAYSIM1: Final = _source("paysim1", "Simulated mobile money, PaySim 1, whole logs.", (1, 1_000_000))
PAYSIM2: Final = _source("paysim2", "Simulated mobile money, PaySim 2, whole logs.", (1, 1_000_000))
