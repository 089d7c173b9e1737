"""How a canonical column is filled from the columns of a source's file.

Each rule is data. `spark/transforms/adapt.py` turns it into a column expression, so that nothing
here needs an engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final


@dataclass(frozen=True)
class Take:
    """The value of a file column, without a constant prefix that the source puts before it."""

    column: str
    strip_prefix: str = ""


@dataclass(frozen=True)
class Constant:
    """A value that the source does not write because it never varies."""

    value: str | int


@dataclass(frozen=True)
class Joined:
    """Several file columns, one text."""

    columns: tuple[str, ...]
    separator: str


@dataclass(frozen=True)
class TimePattern:
    """How a time is written, in the letters of java.time, and how finely: a `PRECISIONS` code."""

    pattern: str
    precision: str = "second"


@dataclass(frozen=True)
class Instant:
    """One UTC instant, from columns joined by a blank, by the first pattern that reads them.

    A single column that the file holds as a timestamp needs no pattern.
    """

    columns: tuple[str, ...]
    patterns: tuple[TimePattern, ...] = ()


@dataclass(frozen=True)
class Precision:
    """How finely the time was told: by the pattern that read it, `second` for a timestamp."""

    instant: Instant


@dataclass(frozen=True)
class Steps:
    """An instant that the source counts: `seconds` for each step of `column`, from `base` on."""

    column: str
    base: date
    seconds: int


@dataclass(frozen=True)
class Epoch:
    """An instant as a number since 1970-01-01 UTC, `per_second` units to the second."""

    column: str
    per_second: int = 1


@dataclass(frozen=True)
class ByAffix:
    """A code read from how a file column's value begins or ends; `unknown` without a value."""

    column: str
    otherwise: str
    prefixes: Mapping[str, str] = field(default_factory=dict)
    suffixes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Coded:
    """A code chosen by a file column's value, whatever its case; an undeclared value stays.

    `missing` stands where there is no value.
    """

    column: str
    codes: Mapping[str, str | None]
    missing: str | None = None


@dataclass(frozen=True)
class RowNumber:
    """The position of the row in its file, from 0."""


@dataclass(frozen=True)
class PositionHash:
    """An identifier for a source that has none: SHA-256 over the file's content and the row.

    Two rows that are alike stay two payments; the same file again brings the same identifiers.
    """


@dataclass(frozen=True)
class Flags:
    """Names of what is set on a row; null when nothing is.

    `columns` names the flag of each column that holds 1 or true; `lists` are columns that hold
    several names, as a JSON array or separated by commas. `rounded` are amounts of money beside
    the payment's own: one beyond ten million that has only three digits that are not zero was
    rounded by a spreadsheet, and sets `rounded_balance`.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    lists: tuple[str, ...] = ()
    rounded: tuple[str, ...] = ()


Rule = (
    Take
    | Constant
    | Joined
    | Instant
    | Precision
    | Steps
    | Epoch
    | ByAffix
    | Coded
    | RowNumber
    | PositionHash
    | Flags
)

ISO_TIME: Final = (
    TimePattern("yyyy-MM-dd'T'HH:mm:ss[.SSSSSS][.SSS][XXX]"),
    TimePattern("yyyy-MM-dd HH:mm:ss[.SSSSSS][.SSS][XXX]"),
)
"""ISO 8601 with or without fraction and zone; without a zone it is UTC."""
SPREADSHEET_TIME: Final = (
    TimePattern("M/d/yy H:mm", "minute"),
    TimePattern("M/d/yyyy H:mm", "minute"),
    TimePattern("M/d/yy H:mm:ss"),
    TimePattern("M/d/yyyy H:mm:ss"),
)
"""What a spreadsheet of the United States makes of a time when it saves a table as text."""


def columns_of(rule: Rule) -> frozenset[str]:
    """Return the file columns that a rule reads."""
    match rule:
        case Take(column) | Steps(column) | Epoch(column) | ByAffix(column) | Coded(column):
            return frozenset({column})
        case Joined(columns) | Instant(columns) | Precision(Instant(columns)):
            return frozenset(columns)
        case Flags(columns, lists, rounded):
            return frozenset((*columns, *lists, *rounded))
        case Constant() | RowNumber() | PositionHash():
            return frozenset()


MAPPED_COLUMNS: Final = (
    "event_id",
    "source_sequence",
    "event_at",
    "event_at_precision",
    "customer_id",
    "instrument_id",
    "counterparty_id",
    "counterparty_type",
    "merchant_category",
    "transaction_type",
    "channel",
    "payment_method",
    "amount",
    "currency",
    "country",
    "location_text",
    "transaction_lat",
    "transaction_lon",
    "home_lat",
    "home_lon",
    "device_id",
    "ip_hash",
    "payer_balance_before",
    "payer_balance_after",
    "payee_balance_before",
    "payee_balance_after",
    "source_flags",
    "is_fraud",
    "scenario",
    "label_known_at",
)
"""Columns that a mapping may fill; those that it does not are null."""
LABEL_COLUMNS: Final = frozenset({"is_fraud", "scenario", "label_known_at"})
"""Mapped columns that become a label's, not a payment's."""
NEEDED_COLUMNS: Final = (
    "event_id",
    "source_sequence",
    "event_at",
    "event_at_precision",
    "customer_id",
    "counterparty_type",
    "transaction_type",
    "channel",
    "payment_method",
    "amount",
    "currency",
)
"""Columns without which there is no payment: each mapping fills them."""
