"""A source that is declared by a YAML file.

docs/sources.md describes the format. All mistakes of a file are reported together.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from contracts.columns import COLUMNS
from contracts.features import MOST_SOURCE_FEATURES, SOURCE_FEATURES
from contracts.printable import printable
from contracts.values import PLAUSIBLE_DATES, POSSIBLE_DATES
from sources.declaration import (
    BECOMES,
    FileColumn,
    FileFormat,
    FixedDelay,
    Labels,
    Source,
    StatedTime,
    Version,
    Weekday,
)
from sources.errors import MappingError
from sources.mapping_problems import feature_problems, layout_problems
from sources.mapping_rules import NOT_EMPTY, Part, WrittenRule
from sources.number_format import DecimalSign, NumberFormat, ThousandsSign
from sources.parquet_types import DeclaredType
from sources.ranges import Ranges
from sources.rules import (
    LABEL_COLUMNS,
    MAPPED_COLUMNS,
    Constant,
    Epoch,
    Instant,
    Precision,
    RowNumber,
    Rule,
)
from sources.text import CsvForm

_UNSAID: Final[Mapping[str, Rule]] = {
    "source_sequence": RowNumber(),
    "counterparty_type": Constant("unknown"),
    "transaction_type": Constant("purchase"),
    "channel": Constant("unknown"),
    "payment_method": Constant("unknown"),
}
"""Defaults of columns that a mapping does not fill."""


class _Column(Part):
    types: Annotated[tuple[DeclaredType, ...], NOT_EMPTY] = ("string",)
    required: bool = True


class _Version(Part):
    number: int = Field(ge=1)
    description: str = "As declared."
    columns: Annotated[dict[str, _Column | None], NOT_EMPTY]
    mapping: dict[str, WrittenRule]
    features: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        columns = {name: (one or _Column()).types for name, one in self.columns.items()}
        written = {name: one.rule() for name, one in self.mapping.items()}
        problems = layout_problems(columns, written, self.rules())
        problems += feature_problems(columns, self.features)
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def rules(self) -> dict[str, Rule]:
        """Return the rules of the file, and the default rules."""
        written = {name: one.rule() for name, one in self.mapping.items()}
        at = written.get("event_at")
        defaults: dict[str, Rule] = {}
        if isinstance(at, Instant):
            defaults["event_at_precision"] = Precision(at)
        elif isinstance(at, Epoch):
            defaults["event_at_precision"] = Constant("second")
        return {**_UNSAID, **defaults, **written}

    def version(self) -> Version:
        """Return the declared version."""
        layout = tuple(
            FileColumn(name, (one or _Column()).types, (one or _Column()).required)
            for name, one in self.columns.items()
        )
        return Version(self.number, self.description, layout, self.rules(), self.features)


_MAPPED: Final = frozenset(MAPPED_COLUMNS)
_YOUNG_ZONES: Final = frozenset({"America/Coyhaique"})
"""Zones of 2025, which Java 17.0.15 does not know."""
_MOST_SKIPPED: Final = 1_000
"""Lines before a header, at most."""
_MOST_DAYS: Final = 3_660
"""A delay is at most ten years."""


class _Labels(Part):
    after_days: int | None = Field(None, ge=0, le=_MOST_DAYS)
    stated: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.after_days is None) == (self.stated is None):
            raise ValueError("labels have either after_days, or stated: true")
        return self

    def labels(self) -> Labels:
        """Return how labels become known."""
        return FixedDelay((self.after_days or 0) * 86_400) if self.stated is None else StatedTime()


class _RowsPerDay(Part):
    fewest: int = Field(ge=0)
    most: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.fewest > self.most:
            raise ValueError("fewest is more than most")
        return self


def _check_delimiter(sign: str) -> str:
    if sign in '"\r\n' or (sign != "\t" and not sign.isprintable()):
        raise ValueError("a delimiter is no quote, line break or control character but tab")
    return sign


@cache
def zones() -> frozenset[str]:
    """Return the names of time zones that a source may declare: those that each engine knows.

    A name without an area, as CET or localtime, is not known to all.
    """
    areas = {name for name in available_timezones() if "/" in name}
    return frozenset(areas - _YOUNG_ZONES | {"UTC"})


def _check_zone(name: str) -> str:
    if name not in zones():
        raise ValueError(f"{name} is not a time zone of the IANA database, as Europe/Berlin")
    return name


class _Numbers(Part):
    decimal_sign: DecimalSign = "."
    thousands_sign: ThousandsSign = ""
    minor_units: bool = False

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.decimal_sign == self.thousands_sign:
            raise ValueError("decimal_sign and thousands_sign are the same")
        return self


class _Dates(Part):
    first: date = PLAUSIBLE_DATES[0]
    last: date = PLAUSIBLE_DATES[1]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        first, last = POSSIBLE_DATES
        if not first <= self.first <= self.last <= last:
            raise ValueError(f"plausible dates are from {first} to {last}, the first one first")
        return self


class _File(Part):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    description: str = Field(min_length=1)
    formats: Annotated[tuple[FileFormat, ...], NOT_EMPTY]
    delivers: Literal["daily", "whole"] = "daily"
    delimiter: Annotated[
        str, StringConstraints(min_length=1, max_length=1), AfterValidator(_check_delimiter)
    ] = ","
    quoted_line_breaks: bool = False
    skip_lines: int = Field(0, ge=0, le=_MOST_SKIPPED)
    encoding: Literal["utf-8", "iso-8859-1", "iso-8859-15", "windows-1252"] = "utf-8"
    zone: Annotated[str, AfterValidator(_check_zone)] = "UTC"
    numbers: _Numbers = _Numbers()
    negative_amounts: Literal["refused", "refund"] = "refused"
    checks_minor_units: bool = True
    part_files: bool = False
    closed_days: tuple[Weekday | date, ...] = ()
    absurd_amount: Decimal = Field(gt=0, lt=Decimal(10) ** 16)
    rows_per_day: _RowsPerDay
    freshness_days: int = Field(2, ge=0, le=_MOST_DAYS)
    plausible_dates: _Dates = _Dates()
    labels: _Labels | None = None
    codes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    ranges: dict[str, Any] = Field(default_factory=dict)
    versions: Annotated[tuple[_Version, ...], NOT_EMPTY]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        problems = [
            f"codes lists {name}, which is not a mapped column"
            for name in self.codes.keys() - _MAPPED
        ]
        known = {one.name for one in fields(Ranges)}
        problems += [f"ranges has no {name}" for name in self.ranges.keys() - known]
        problems += self._range_problems()
        if "csv" not in self.formats:
            problems += [
                f"{name} is for csv, which formats does not list"
                for name in ("quoted_line_breaks", "skip_lines", "encoding")
                if name in self.model_fields_set
            ]
        numbers = [one.number for one in self.versions]
        if len(set(numbers)) < len(numbers):
            problems.append("two versions have the same number")
        for one in self.versions:
            has = one.mapping.keys() & LABEL_COLUMNS
            if self.labels is None and has:
                problems.append(
                    f"version {one.number} fills {', '.join(sorted(has))}, but no labels are"
                    " declared: add labels, or leave them out"
                )
            if self.labels is not None and "is_fraud" not in has:
                problems.append(f"version {one.number} fills no is_fraud, but labels are declared")
            states = self.labels is not None and self.labels.stated is not None
            if states != ("label_known_at" in has) and self.labels is not None:
                problems.append(f"version {one.number}: label_known_at goes with stated: true")
        features = {name for one in self.versions for name in one.features}
        if len(features) > MOST_SOURCE_FEATURES:
            problems.append(
                f"versions declare {len(features)} features: a source has at most"
                f" {MOST_SOURCE_FEATURES}"
            )
        if problems:
            raise ValueError("; ".join(sorted(problems)))
        return self

    def source(self) -> Source:
        """Return the source that the file declares."""
        return Source(
            name=self.name,
            description=self.description,
            versions=tuple(one.version() for one in self.versions),
            absurd_amount=self.absurd_amount,
            labels=None if self.labels is None else self.labels.labels(),
            rows_per_day=(self.rows_per_day.fewest, self.rows_per_day.most),
            freshness_days=self.freshness_days,
            formats=self.formats,
            delivers=self.delivers,
            zone=self.zone,
            csv=CsvForm(self.delimiter, self.quoted_line_breaks, self.skip_lines, self.encoding),
            numbers=NumberFormat(**self.numbers.model_dump()),
            negative_amounts=self.negative_amounts,
            checks_minor_units=self.checks_minor_units,
            part_files=self.part_files,
            closed_days=tuple(map(str, self.closed_days)),
            codes=self.codes,
            plausible_dates=(self.plausible_dates.first, self.plausible_dates.last),
            ranges=self._ranges(),
        )

    def _range_problems(self) -> list[str]:
        try:
            TypeAdapter(Ranges).validate_python(self.ranges)
        except ValidationError as error:
            return [f"ranges.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        return []

    def _ranges(self) -> Ranges:
        """Return the ranges; those that the file does not narrow have the widest limits."""
        filled = {name for one in self.versions for name in one.rules()}
        filled |= {SOURCE_FEATURES for one in self.versions if one.features}
        unsaid = {
            "unlabelled_share": 0.0 if self.labels else 1.0,
            "is_steady": False,
            "sometimes_null": {
                BECOMES.get(name, name)
                for name in filled - LABEL_COLUMNS
                if COLUMNS[BECOMES.get(name, name)].nullable
            },
        }
        return TypeAdapter(Ranges).validate_python({**unsaid, **self.ranges})


def read(path: Path) -> Source:
    """Return the source that a mapping file declares; it has the name of the file.

    Raises:
        MappingError: with one line for each mistake.
    """
    try:
        # YAML 1.2, in which NO is a text and no key stands twice.
        written = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MappingError(f"{path.name} cannot be read ({error.strerror}).") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise MappingError(f"{path.name} is not valid YAML: {_yaml_mistake(error)}.") from error
    if not isinstance(written, dict):
        raise MappingError(f"{path.name} is not a YAML mapping: start it with name: {path.stem}.")
    try:
        file = _File.model_validate(written)
    except ValidationError as error:
        raise MappingError(f"{path.name} has mistakes:\n{_mistakes(error)}") from error
    if file.name != path.stem:
        raise MappingError(
            f"{path.name} declares the source {file.name}: call the file {file.name}.yaml, or the"
            f" source {path.stem}."
        )
    return file.source()


def _yaml_mistake(error: Exception) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} in line {error.problem_mark.line + 1}"
    return printable(" ".join(str(error).split())[:200])


def _mistakes(error: ValidationError) -> str:
    lines = []
    for one in error.errors(include_url=False, include_input=False):
        place = list(one["loc"])
        if place[2:3] == ["mapping"]:
            del place[4:5]  # the name of the rule class, which is not a position in the file
        text = one["msg"].removeprefix("Value error, ")
        if one["type"] == "string_type":
            text += ": write it in quotes"
        where = ".".join(map(str, place))
        lines.append(f"- {where}: {text}" if where else f"- {text}")
    return "\n".join(lines)
