"""What a source system promises: its layouts, their mapping to canonical columns, its limits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Final, Literal, Self, get_args

from contracts.features import SOURCE_FEATURES
from contracts.printable import printable
from contracts.values import MONEY_DECIMALS, PLAUSIBLE_DATES
from sources.currencies import minor_unit_digits
from sources.number_format import NumberFormat
from sources.parquet_types import DeclaredType, is_accepted
from sources.ranges import Ranges
from sources.rules import LABEL_COLUMNS, MAPPED_COLUMNS, Coded, Constant, Rule, Take
from sources.text import CsvForm

_MOST: Final = 12
_LONGEST: Final = 60
"""Most names of columns in a sentence, and most characters of one."""
FileFormat = Literal["parquet", "csv", "jsonl", "json"]
"""As files end: a Parquet file, comma-separated text, JSON a line, one JSON array."""


LABEL_TYPES: Final[tuple[DeclaredType, ...]] = ("long", "double", "boolean", "string")
"""Types in which a label may arrive (`contracts.values.FRAUD_WORDS`)."""


@dataclass(frozen=True)
class FileColumn:
    """A column of the source's files and the physical types it may arrive in.

    One that is not `required` may be absent, and then is null.
    """

    name: str
    types: tuple[DeclaredType, ...] = ("string",)
    required: bool = True


@dataclass(frozen=True)
class Version:
    """A layout that a source writes; `mapping` goes from mapped column to the rule that fills it.

    `features` goes from the name of a source feature to the file column that has its numbers.
    Declaring the next one beside those that exist is all that a change of layout needs.
    """

    number: int
    description: str
    layout: tuple[FileColumn, ...]
    mapping: Mapping[str, Rule]
    features: Mapping[str, str] = field(default_factory=dict)

    @property
    def amount_column(self) -> str:
        """Return the file column that holds the money."""
        rule = self.mapping["amount"]
        if not isinstance(rule, Take):
            raise TypeError("an amount is taken from one column")
        return rule.column

    @property
    def currency(self) -> Constant | Take | Coded:
        """Return the rule of the currency: always the same, or from one column."""
        rule = self.mapping["currency"]
        if not isinstance(rule, Constant | Take | Coded):
            raise TypeError("a currency is constant, or taken or coded from one column")
        return rule

    def problem(self, columns: Mapping[str, str]) -> str | None:
        """Say what is wrong with a file's columns, or None.

        A column more than declared is no problem: nothing reads it.
        """
        missing = [one.name for one in self.layout if one.required and one.name not in columns]
        strange = [
            f"{one.name} is {printable(columns[one.name][:_LONGEST])}"
            f" instead of {' or '.join(one.types)}"
            for one in self.layout
            if one.name in columns and not is_accepted(columns[one.name], one.types)
        ]
        extra = sorted(set(columns) - {one.name for one in self.layout})
        if not missing and not strange:
            return None
        said = []
        if missing:
            said.append(f"missing {_listed(missing)}")
            if extra:
                said.append(f"not declared {_listed(extra)}")
        return "; ".join(said + strange)

    def distance(self, columns: Mapping[str, str]) -> int:
        """Return how many of the declared columns a file does not have as declared."""
        return sum(
            (one.required and one.name not in columns)
            or (one.name in columns and not is_accepted(columns[one.name], one.types))
            for one in self.layout
        )


def _listed(names: Sequence[str]) -> str:
    """Return names of columns as a sentence lists them; a damaged file may have any."""
    shown = [printable(name[:_LONGEST]) or "an unnamed one" for name in names[:_MOST]]
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"{', '.join(shown)}{more}"


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


@dataclass(frozen=True)
class StatedTime:
    """The source says when a label became known; the mapping fills `label_known_at`.

    A statement without such a time, or with one that cannot be read, is no label.
    """


@dataclass(frozen=True)
class LabelFeed:
    """Labels come in JSON lines of their own, after their payments: a file a day, maybe empty.

    - `version`: layout of these files; its mapping fills event_id, is_fraud, label_known_at and
      label_source.
    - `genuine_after_seconds`: a payment that no label names by then is genuine, with the label
      source `unreported`.
    - `longest_days`: most days from a payment to a label that names it.
    """

    version: Version
    genuine_after_seconds: int
    longest_days: int


Labels = LabelDelay | FixedDelay | StatedTime | LabelFeed
WEEK_SECONDS: Final = 7 * 86_400
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


@dataclass(frozen=True)
class Source:
    """A source system.

    - `delivers`: a file a day named by its date, or whole files; either may be one file named by
      the window's dates.
    - `labels`: how labels become known; None when the source states none.
    - `zone`: IANA name of the time zone of its business dates, and of times without a zone.
    - `csv`: how its CSV files are written. One whose quoted fields may span lines, as RFC 4180
      allows, is read by one task.
    - `numbers`: how it writes numbers.
    - `negative_amounts`: an amount below zero is refused, or is a refund: the payment then has the
      type `refund` and the amount without its sign.
    - `part_files`: a folder of files may stand for a file of the same name.
    - `codes`: closed lists of this source, by mapped column.
    - `rows_per_day`: fewest and most rows of a day that is whole.
    - `freshness_days`: days after its window by which a delivery should have come.
    - `closed_days`: weekdays, as sunday, and dates on which the source has no payments: a file may
      be absent or empty. With a fewest of 0 rows a day, any file may be empty.
    - `checks_minor_units`: an amount with more decimals than its currency has is
      refused; without it, each currency has at least two.
    - `plausible_dates`: first and last date that a payment, or the time of a label, may have.
    """

    name: str
    description: str
    versions: tuple[Version, ...]
    absurd_amount: Decimal
    labels: Labels | None
    rows_per_day: tuple[int, int]
    freshness_days: int
    formats: tuple[FileFormat, ...] = ("parquet",)
    delivers: Literal["daily", "whole"] = "daily"
    zone: str = "UTC"
    csv: CsvForm = field(default_factory=CsvForm)
    numbers: NumberFormat = field(default_factory=NumberFormat)
    negative_amounts: Literal["refused", "refund"] = "refused"
    part_files: bool = False
    closed_days: tuple[str, ...] = ()
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    checks_minor_units: bool = True
    plausible_dates: tuple[date, date] = PLAUSIBLE_DATES
    ranges: Ranges = field(default_factory=Ranges)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Return how the source's files end."""
        return tuple(f".{kind}" for kind in self.formats)

    def decimals_in(self, currency: str) -> int:
        """Return how many decimals an amount in a currency may have."""
        return minor_unit_digits(currency) if self.checks_minor_units else MONEY_DECIMALS

    def closed_on(self, days: Iterable[date]) -> Self:
        """Return the source with more closed days."""
        return replace(self, closed_days=(*self.closed_days, *map(str, days)))

    def is_closed(self, day: date) -> bool:
        """Return whether the source has no payments on a day."""
        return (
            get_args(Weekday)[day.weekday()] in self.closed_days
            or day.isoformat() in self.closed_days
        )

    def rows_off(self, rows: int, open_days: int = 1, days: int = 1) -> tuple[int, int]:
        """Return how many rows of some days are missing, and how many are too many.

        `open_days` are those of the `days` on which the source is not closed.
        """
        fewest, most = self.rows_per_day
        return max(fewest * open_days - rows, 0), max(rows - most * days, 0)

    def reads_whole(self, kind: str) -> bool:
        """Return whether one task reads a file of this format, since its rows may span lines."""
        return kind == "json" or (kind == "csv" and self.csv.quoted_line_breaks)

    @property
    def may_leave_empty(self) -> frozenset[str]:
        """Return the tables of Processed that a sound delivery may bring nothing for."""
        unlabelled = self.labels is None or self.ranges.unlabelled_share >= 1
        unnamed = "counterparty_id" in self.ranges.sometimes_null | self.lacks
        found = {"quarantine": True, "labels": unlabelled, "merchants": unnamed}
        return frozenset(name for name, may in found.items() if may)

    @property
    def fills(self) -> frozenset[str]:
        """Return the columns of `processed.transactions` that this source can fill."""
        mapped = frozenset(
            BECOMES.get(name, name)
            for version in self.versions
            for name in version.mapping
            if name not in LABEL_COLUMNS
        )
        has_features = any(version.features for version in self.versions)
        return mapped | ({SOURCE_FEATURES} if has_features else set())

    @property
    def lacks(self) -> frozenset[str]:
        """Return the mapped columns of `processed.transactions` that are null in every row."""
        known = {BECOMES.get(name, name) for name in MAPPED_COLUMNS if name not in LABEL_COLUMNS}
        return frozenset(known) - self.fills

    def version(self, number: int | None) -> Version | None:
        """Return a declared version by its number."""
        return next((one for one in self.versions if one.number == number), None)

    def version_of(self, columns: Mapping[str, str]) -> Version | None:
        """Return the version that a file's columns show: of those that fit, the fullest."""
        fitting = [one for one in self.versions if one.problem(columns) is None]
        return max(
            fitting,
            key=lambda one: (sum(column.name in columns for column in one.layout), one.number),
            default=None,
        )

    def layout_problem(self, columns: Mapping[str, str]) -> str | None:
        """Say how a file's columns differ from the nearest declared version, or None."""
        if self.version_of(columns) is not None:
            return None
        nearest = min(self.versions, key=lambda one: (one.distance(columns), -one.number))
        said = nearest.problem(columns)
        return said if len(self.versions) == 1 else f"nearest to version {nearest.number}: {said}"


BECOMES: Final = {"location_text": "region"}
"""Columns of Processed that a mapped column becomes, where the name changes on the way."""
