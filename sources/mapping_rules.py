"""The rules of a mapping file in their YAML form (docs/sources.md)."""

from datetime import date
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    Tag,
    model_validator,
)

from contracts.columns import PRECISIONS
from sources.rules import (
    ISO_TIME,
    SPREADSHEET_TIME,
    ByAffix,
    Coded,
    Constant,
    Epoch,
    Flags,
    Instant,
    Joined,
    PositionHash,
    RowNumber,
    Rule,
    Steps,
    Take,
    TimePattern,
)
from sources.time_patterns import pattern_problem

_MOST_SECONDS: Final = 366 * 86_400
"""A step of a counted time is at most a year."""
_NAMED_PATTERNS: Final = {"iso": ISO_TIME, "spreadsheet": SPREADSHEET_TIME}


class Part(BaseModel):
    """A part of a mapping file, which refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _check_some(items: Any) -> Any:
    # Not by min_length, of which pydantic says that it is missed when an item has a mistake.
    if not items:
        raise ValueError("lists nothing")
    return items


NOT_EMPTY: Final = AfterValidator(_check_some)
"""For a list or mapping of at least one item."""


class _Take(Part):
    take: str
    strip_prefix: str = ""

    def rule(self) -> Rule:
        return Take(self.take, self.strip_prefix)


class _Constant(Part):
    constant: str | StrictInt

    def rule(self) -> Rule:
        return Constant(str(self.constant))


class _Join(Part):
    join: Annotated[tuple[str, ...], NOT_EMPTY]
    separator: str = ", "

    def rule(self) -> Rule:
        return Joined(self.join, self.separator)


def _check_pattern(pattern: str) -> str:
    if problem := pattern_problem(pattern):
        raise ValueError(problem)
    return pattern


_JavaPattern = Annotated[str, AfterValidator(_check_pattern)]


class _Pattern(Part):
    pattern: _JavaPattern
    precision: str = "second"

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.precision not in PRECISIONS:
            raise ValueError(f"a precision is one of {', '.join(PRECISIONS)}")
        return self


class _Time(Part):
    time: str | Annotated[tuple[str, ...], NOT_EMPTY]
    patterns: Annotated[tuple[str | _Pattern, ...], NOT_EMPTY] = ("iso",)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for one in self.patterns:
            if isinstance(one, str) and one not in _NAMED_PATTERNS:
                _check_pattern(one)
        return self

    def rule(self) -> Instant:
        columns = (self.time,) if isinstance(self.time, str) else self.time
        patterns: list[TimePattern] = []
        for one in self.patterns:
            if isinstance(one, _Pattern):
                patterns.append(TimePattern(one.pattern, one.precision))
            else:
                patterns.extend(_NAMED_PATTERNS.get(one, (TimePattern(one),)))
        return Instant(columns, tuple(patterns))


class _Steps(Part):
    steps: str
    base: date
    seconds: int = Field(ge=1, le=_MOST_SECONDS)

    def rule(self) -> Rule:
        return Steps(self.steps, self.base, self.seconds)


class _Epoch(Part):
    epoch: str
    per_second: Literal[1, 1_000, 1_000_000] = 1

    def rule(self) -> Rule:
        return Epoch(self.epoch, self.per_second)


class _Affix(Part):
    affix: str
    otherwise: str
    prefixes: dict[str, str] = Field(default_factory=dict)
    suffixes: dict[str, str] = Field(default_factory=dict)

    def rule(self) -> Rule:
        return ByAffix(self.affix, self.otherwise, self.prefixes, self.suffixes)


class _Code(Part):
    code: str
    codes: dict[str, str | None] = Field(default_factory=dict)
    missing: str | None = None

    def rule(self) -> Rule:
        return Coded(self.code, self.codes, self.missing)


class _RowNumber(Part):
    row_number: Literal[True]

    def rule(self) -> Rule:
        return RowNumber()


class _PositionHash(Part):
    position_hash: Literal[True]

    def rule(self) -> Rule:
        return PositionHash()


class _Flags(Part):
    flags: dict[str, str] = Field(default_factory=dict)
    lists: tuple[str, ...] = ()
    rounded: tuple[str, ...] = ()

    def rule(self) -> Rule:
        return Flags(self.flags, self.lists, self.rounded)


_RULES: Final = (
    "take",
    "constant",
    "join",
    "time",
    "steps",
    "epoch",
    "affix",
    "code",
    "row_number",
    "position_hash",
    "flags",
)


def _kind(value: Any) -> str | None:
    kinds = [name for name in _RULES if isinstance(value, dict) and name in value]
    return kinds[0] if len(kinds) == 1 else None


WrittenRule = Annotated[
    Annotated[_Take, Tag("take")]
    | Annotated[_Constant, Tag("constant")]
    | Annotated[_Join, Tag("join")]
    | Annotated[_Time, Tag("time")]
    | Annotated[_Steps, Tag("steps")]
    | Annotated[_Epoch, Tag("epoch")]
    | Annotated[_Affix, Tag("affix")]
    | Annotated[_Code, Tag("code")]
    | Annotated[_RowNumber, Tag("row_number")]
    | Annotated[_PositionHash, Tag("position_hash")]
    | Annotated[_Flags, Tag("flags")],
    Discriminator(
        _kind,
        custom_error_type="rule",
        custom_error_message=f"a rule has exactly one of {', '.join(_RULES)}",
    ),
]
"""One rule, identified by its first key; `rule()` returns the rule of the source."""
