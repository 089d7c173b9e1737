"""What a source system promises: its layout, its limits, and its mapping to canonical columns.

The mapping is data. `spark/transforms/adapt.py` turns it into column expressions, so that nothing
here needs an engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from sources.ranges import Ranges

NUMBER: Final = r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
"""A whole text that every engine reads as the same number; each anchors it in its own way."""

PhysicalType = Literal[
    "string", "double", "long", "date", "timestamp", "decimal", "boolean", "other"
]
"""`timestamp` is one without a zone, in micro- or milliseconds: read as UTC."""


@dataclass(frozen=True)
class FileColumn:
    """A column of the source's files and the physical types it may arrive in."""

    name: str
    types: tuple[PhysicalType, ...]


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
class Instant:
    """A date and a time of day, both text, read as one UTC instant by `pattern`."""

    date_column: str
    time_column: str
    pattern: str


@dataclass(frozen=True)
class BySuffix:
    """A code read from how a file column's value ends."""

    column: str
    suffixes: Mapping[str, str]
    otherwise: str


@dataclass(frozen=True)
class Coded:
    """A code chosen by a file column's value; an undeclared value stays as it is."""

    column: str
    codes: Mapping[str, str | None]


@dataclass(frozen=True)
class RowNumber:
    """The position of the row in its file, from 0."""


Rule = Take | Constant | Joined | Instant | BySuffix | Coded | RowNumber


@dataclass(frozen=True)
class LabelDelay:
    """How long after a payment its label becomes known, for a source that tells no such time.

    The delay is a function of the payment's key alone, so that each run and each engine computes
    the same: with h the SHA-256 of `<source_system>|<event_id>` in hex, a = h[0:8] mod 1000 and
    p = h[8:16], both read as hexadecimal numbers,

    - a < `within_permille`: 1 + p mod `within_seconds` seconds, and otherwise
    - `within_seconds` + 1 + p mod (`tail_seconds` - `within_seconds`) seconds.
    """

    within_permille: int
    within_seconds: int
    tail_seconds: int


@dataclass(frozen=True)
class FixedDelay:
    """Each label becomes known this many seconds after its payment."""

    seconds: int


Labels = LabelDelay | FixedDelay


@dataclass(frozen=True)
class Source:
    """A source system. `mapping` goes from canonical column to the rule that fills it."""

    name: str
    schema_version: int
    description: str
    file_suffix: str
    layout: tuple[FileColumn, ...]
    mapping: Mapping[str, Rule]
    amount_column: str
    currency: str
    absurd_amount: Decimal
    label_column: str
    labels: Labels
    codes: Mapping[str, tuple[str, ...]]
    rows_per_day: tuple[int, int]
    freshness_days: int
    ranges: Ranges = field(default_factory=Ranges)

    @property
    def fills(self) -> frozenset[str]:
        """Return the columns of `processed.transactions` that this source can fill."""
        return frozenset(
            column
            for name in self.mapping
            if name not in ("is_fraud", "scenario")
            for column in _FILLED_BY.get(name, (name,))
        )

    @property
    def lacks(self) -> frozenset[str]:
        """Return the mapped columns of `processed.transactions` that are null in every row."""
        mapped = (_FILLED_BY.get(name, (name,)) for name in MAPPED_COLUMNS)
        known = frozenset(column for columns in mapped for column in columns)
        return known - self.fills - {"is_fraud", "scenario"}

    def layout_problem(self, columns: Mapping[str, str]) -> str | None:
        """Say what is wrong with a file's columns, or None.

        A column more than declared is no problem: nothing reads it.
        """
        missing = [column.name for column in self.layout if column.name not in columns]
        strange = [
            f"{column.name} is {columns[column.name]} instead of {' or '.join(column.types)}"
            for column in self.layout
            if column.name in columns and columns[column.name] not in column.types
        ]
        extra = sorted(set(columns) - {column.name for column in self.layout})
        if not missing and not strange:
            return None
        said = []
        if missing:
            said.append(f"missing {', '.join(missing)}")
            if extra:
                said.append(f"not declared {', '.join(extra)}")
        return "; ".join(said + strange)


_FILLED_BY: Final = {"location_text": ("region",)}
"""Columns of Processed that a mapped column becomes, where the name changes on the way."""
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
    "is_fraud",
    "scenario",
)
"""Canonical columns that a mapping may fill; those that it does not are null."""
