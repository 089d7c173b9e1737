"""Dirt: rows that are broken, repeated, late or early, each written down in a ledger."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from contracts.reasons import RejectReason

Row = dict[str, str | None]
Edit = Callable[[Row, np.random.Generator], str]


class Outcome(StrEnum):
    """What a platform does with a dirty row."""

    QUARANTINED = "quarantined"
    DEDUPLICATED = "deduplicated"
    ACCEPTED = "accepted"


@dataclass(frozen=True)
class Kind:
    """A kind of dirt.

    Attributes:
        name: its name, as in `DirtSettings.rates`.
        outcome: what a platform does with the row.
        edit: changes a row in place and returns the name of the field, or None where the kind is a
            matter of position or repetition.
        json_only: whether only JSON lines can have it.
    """

    name: str
    outcome: Outcome
    edit: Edit | None = None
    json_only: bool = False


REQUIRED: Final = ("transaction_id", "timestamp", "amount", "currency", "customer_id")
EDITED: Final = (*REQUIRED, "channel", "payment_method", "country", "merchant_id")
"""Columns that edits of Parquet rows change."""
CUT: Final = "\x00cut"
"""Key of a row that is cut in its middle when it is written as JSON."""


def _put(field: str, *texts: str) -> Edit:
    def edit(row: Row, rng: np.random.Generator) -> str:
        row[field] = texts[int(rng.integers(len(texts)))]
        return field

    return edit


def _missing_field(row: Row, rng: np.random.Generator) -> str:
    field = REQUIRED[int(rng.integers(len(REQUIRED)))]
    row[field] = None
    return field


def _wrong_type(row: Row, rng: np.random.Generator) -> str:
    field, text = (("amount", "twelve"), ("timestamp", "yesterday"))[int(rng.integers(2))]
    row[field] = text
    return field


def _unknown_enum(row: Row, rng: np.random.Generator) -> str:
    field, text = (("channel", "fax"), ("payment_method", "barter"))[int(rng.integers(2))]
    row[field] = text
    return field


def _future(row: Row, rng: np.random.Generator) -> str:
    # Years ahead: the clock of the machine that reads it may be long after the world's day 0.
    days = int(rng.integers(3_650, 14_600))
    moved = np.datetime64(str(row["timestamp"]).removesuffix("Z")) + np.timedelta64(days, "D")
    row["timestamp"] = f"{moved}Z"
    return "timestamp"


def _nul_byte(row: Row, rng: np.random.Generator) -> str:
    row["merchant_id"] = f"{row['merchant_id']}\x00"
    return "merchant_id"


KINDS: Final = (
    Kind("malformed_json", Outcome.QUARANTINED, _put(CUT, ""), json_only=True),
    Kind("missing_field", Outcome.QUARANTINED, _missing_field),
    Kind("wrong_type", Outcome.QUARANTINED, _wrong_type),
    Kind("absurd_amount", Outcome.QUARANTINED, _put("amount", "4999999999", "99999999999")),
    Kind("unknown_enum", Outcome.QUARANTINED, _unknown_enum),
    Kind("unknown_currency", Outcome.QUARANTINED, _put("currency", "ZZZ", "EURO", "BTC")),
    Kind("unknown_country", Outcome.QUARANTINED, _put("country", "QQ", "Atlantis")),
    Kind("exact_duplicate", Outcome.DEDUPLICATED),
    Kind("conflicting_duplicate", Outcome.QUARANTINED),
    Kind("late", Outcome.ACCEPTED),
    Kind("future", Outcome.QUARANTINED, _future),
    Kind("out_of_order", Outcome.ACCEPTED),
    Kind("nul_byte", Outcome.QUARANTINED, _nul_byte),
    Kind("lone_surrogate", Outcome.QUARANTINED, _put("merchant_name", "Caf\ud83d"), json_only=True),
    Kind(
        "sentinel_date",
        Outcome.QUARANTINED,
        _put("timestamp", "9999-12-31T00:00:00Z", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ),
)
SCHEMA_DRIFT: Final = Kind("schema_drift", Outcome.ACCEPTED)
"""From its day on each row has one more column: one entry of the ledger for each file."""


@dataclass(frozen=True)
class Entry:
    """A line of the dirt ledger: row of the file from 0, or None for the whole file."""

    file: str
    row: int | None
    kind: str
    outcome: Outcome
    field: str | None
    transaction_id: str | None
    reason: RejectReason | None
    """The reason under which Tollgate refuses the row."""

    def line(self) -> str:
        """Return the entry as a JSON line."""
        return json.dumps(vars(self)) + "\n"


_REASONS: Final = {
    "malformed_json": RejectReason.UNREADABLE_ROW,
    "absurd_amount": RejectReason.ABSURD_AMOUNT,
    "unknown_enum": RejectReason.UNKNOWN_CODE,
    "unknown_currency": RejectReason.UNKNOWN_CURRENCY,
    "unknown_country": RejectReason.UNKNOWN_CODE,
    "conflicting_duplicate": RejectReason.CONFLICTING_DUPLICATE,
    "future": RejectReason.FUTURE_TIME,
    "nul_byte": RejectReason.UNPRINTABLE_TEXT,
    "lone_surrogate": RejectReason.UNREADABLE_ROW,
    "sentinel_date": RejectReason.IMPLAUSIBLE_TIME,
}
_REASONS_OF_FIELDS: Final = {
    "transaction_id": RejectReason.MISSING_EVENT_ID,
    "customer_id": RejectReason.MISSING_CUSTOMER,
    "timestamp": RejectReason.UNREADABLE_TIME,
    "amount": RejectReason.UNREADABLE_AMOUNT,
    "currency": RejectReason.UNKNOWN_CURRENCY,
}


def reason_of(kind: str, field: str | None) -> RejectReason | None:
    """Return the reason for which Tollgate refuses a row of a kind and field, or None."""
    if kind in ("missing_field", "wrong_type"):
        return _REASONS_OF_FIELDS[str(field)]
    return _REASONS.get(kind)
