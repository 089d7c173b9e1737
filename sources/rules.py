"""Mapping rules, which fill a canonical column from the columns of a source's file.

Rules are data without an engine; `spark/transforms/adapt.py` turns them into column expressions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final


@dataclass(frozen=True)
class Take:
    """The value of a file column, without a constant prefix."""

    column: str
    strip_prefix: str = ""


@dataclass(frozen=True)
class Constant:
    """A constant value, which the source does not write."""

    value: str | int


@dataclass(frozen=True)
class Joined:
    """Several file columns, joined to one text."""

    columns: tuple[str, ...]
    separator: str


@dataclass(frozen=True)
class TimePattern:
    """A pattern of java.time for a time, and its precision, a code of `PRECISIONS`."""

    pattern: str
    precision: str = "second"


@dataclass(frozen=True)
class Instant:
    """An instant from columns joined by a blank, parsed by the first matching pattern.

    A single column with the type timestamp needs no pattern.
    """

    columns: tuple[str, ...]
    patterns: tuple[TimePattern, ...] = ()


@dataclass(frozen=True)
class Precision:
    """The precision of the time: that of the matching pattern, or `second` for a timestamp."""

    instant: Instant


@dataclass(frozen=True)
class Steps:
    """A counted instant: the start of `base` in the source's zone, plus `seconds` a step."""

    column: str
    base: date
    seconds: int


@dataclass(frozen=True)
class Epoch:
    """An instant as a number of units since 1970-01-01 UTC, with `per_second` units a second."""

    column: str
    per_second: int = 1


@dataclass(frozen=True)
class ByAffix:
    """A code by the prefix or suffix of a file column's value; `unknown` without a value."""

    column: str
    otherwise: str
    prefixes: Mapping[str, str] = field(default_factory=dict)
    suffixes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Coded:
    """A code by the case-insensitive value of a file column; an undeclared value is kept.

    `missing` is the code for null.
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

    Identical rows are separate payments; the same file has the same identifiers when landed again.
    """


@dataclass(frozen=True)
class Flags:
    """The names of the flags that are set on a row; null without flags.

    `columns` has the flag of each column with 1 or true; `lists` are columns with several names, as
    a JSON array or separated by commas. `rounded` are other amounts than that of the payment: an
    amount above ten million with only three non-zero digits was rounded by a spreadsheet, and sets
    `rounded_balance`.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    lists: tuple[str, ...] = ()
    rounded: tuple[str, ...] = ()


BETWEEN_FLAGS: Final = r"(?<!\s)\s*,\s*"
"""What separates the names of a list, for Python and Java. Without the first condition, a search
begins at each blank of a run, and its time grows with the square of the run."""

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
"""ISO 8601 with or without fraction and time zone; a time without one is of the source's."""
SPREADSHEET_TIME: Final = (
    TimePattern("M/d/yy H:mm", "minute"),
    TimePattern("M/d/yyyy H:mm", "minute"),
    TimePattern("M/d/yy H:mm:ss"),
    TimePattern("M/d/yyyy H:mm:ss"),
)
"""The form in which a spreadsheet with the locale en-US saves a time as text."""


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
"""Columns that a mapping may fill; columns that it does not fill are null."""
LABEL_COLUMNS: Final = frozenset({"is_fraud", "scenario", "label_known_at"})
"""Mapped columns of the label, not of the payment."""
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
"""Required columns of every mapping."""
