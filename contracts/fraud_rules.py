"""The rules of fraud and their evaluation, for the stream, the batch line and decisions alike.

`contracts/fraud_rules.yaml` declares the rules and their suppressions. The evaluation is pure: it
takes the figures of one payment, and reads no clock and no store.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import model_validator as check_whole
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from contracts.column import Column, LogicalType
from contracts.columns import COLUMNS, RISK_LEVELS
from contracts.values import TOKEN_DIGITS

_log = logging.getLogger(__name__)
FILE: Final = Path(__file__).with_suffix(".yaml")
Figures = Mapping[str, bool | int | float | Decimal | None]
"""The figures of a payment by name; one that is unknown is None, NaN or absent."""
VELOCITY_SECONDS: Final = (60, 300, 3_600)
"""Lengths of the windows of velocities. A window is (t - length, t], as those of the features."""
VELOCITY_COUNTS: Final[Mapping[str, str]] = {
    "transaction": "Payments",
    "city": "Distinct cities (places to 0.1 degree, 11 km)",
    "country": "Distinct countries",
    "merchant": "Distinct merchants and other payees",
}


def velocity(counted: str, seconds: int) -> str:
    """Return the name of a figure of `VELOCITIES`.

    >>> velocity("city", 60)
    'card_city_count_60s'
    """
    return f"card_{counted}_count_{seconds}s"


VELOCITIES: Final[Mapping[str, Column]] = {
    column.name: column
    for column in (
        Column(
            "local_hour_of_day",
            LogicalType.INTEGER,
            "Hour of the payment in solar time at its place: UTC, plus an hour for each 15 degrees"
            " of longitude to the east.",
            nullable=True,
        ),
        *(
            Column(
                velocity(counted, seconds),
                LogicalType.INTEGER,
                f"{meaning} of the card in the {seconds} seconds up to and including the payment.",
                nullable=True,
            )
            for seconds in VELOCITY_SECONDS
            for counted, meaning in VELOCITY_COUNTS.items()
        ),
        *(
            Column(
                f"card_amount_sum_{seconds}s",
                LogicalType.MONEY,
                f"Money that the card paid in `currency` in the {seconds} seconds up to and"
                " including the payment.",
                nullable=True,
                unit="currency",
            )
            for seconds in VELOCITY_SECONDS
        ),
    )
}
"""Figures that rules may use besides the declared columns.

`spark/transforms/features/velocity.py` computes them. A card is a card or account
(`instrument_id`) of a customer; the customer's payments without one count as those of one card.
"""
_COMPARED: Final = frozenset(
    {
        *(LogicalType.INTEGER, LogicalType.LONG, LogicalType.DOUBLE),
        *(LogicalType.MONEY, LogicalType.BOOLEAN),
    }
)

PAYMENT_COLUMNS: Final = (
    "source_system",
    "event_date",
    "customer_id",
    "counterparty_id",
    "currency",
)
"""Columns of a payment that the evaluation reads besides the figures of the rules."""
_TOKEN: Final = re.compile(f"[0-9a-f]{{{TOKEN_DIGITS}}}")

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]


class FraudRulesError(ValueError):
    """Raised when the file of rules has mistakes; the message lists each with its place."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(_Part):
    """A comparison of one figure with limits. A figure that is unknown fulfils no condition.

    `by_currency` has the limits that replace `above` for amounts in these currencies.
    """

    figure: str
    above: Decimal | None = None
    at_least: Decimal | None = None
    below: Decimal | None = None
    equals: bool | None = Field(None, alias="is")
    by_currency: dict[Currency, Decimal] = Field(default_factory=dict)

    @check_whole(mode="after")
    def _check(self) -> Self:
        column = COLUMNS.get(self.figure)
        if not (column and column.type in _COMPARED) and self.figure not in VELOCITIES:
            raise ValueError(
                f"the figure {self.figure!r} is neither a column with numbers nor in VELOCITIES of"
                " contracts/fraud_rules.py"
            )
        limits = (self.above, self.at_least, self.below)
        if (self.equals is None) == all(limit is None for limit in limits):
            raise ValueError("give limits (above, at_least, below), or is")
        if self.by_currency and self.above is None:
            raise ValueError("by_currency replaces above, which is missing")
        return self

    def is_true(self, figures: Figures, currency: str) -> bool:
        """Return whether the figures of a payment in a currency fulfil the condition."""
        value = figures.get(self.figure)
        if value is None or value != value:  # NaN, which Decimal refuses to compare
            return False
        if self.equals is not None:
            return value == self.equals
        above = self.by_currency.get(currency, self.above)
        return (
            (above is None or value > above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
        )


class FraudRule(_Part):
    """A rule. It fires when each condition of `when` is true; `code` is the reason of the alert."""

    code: Annotated[str, StringConstraints(pattern="^[A-Z][A-Z0-9_]*$")]
    owner: Text
    description: Text
    severity: Literal[*RISK_LEVELS]  # type: ignore[valid-type]
    since: date
    when: Annotated[tuple[Condition, ...], Field(min_length=1)]

    def fires(self, figures: Figures, currency: str) -> bool:
        """Return whether the rule fires for the figures of a payment in a currency."""
        return all(condition.is_true(figures, currency) for condition in self.when)


class Suppression(_Part):
    """A rule that does not fire for a customer or a counterparty of a source.

    It applies to payments with a business date before `expires`. A customer is the token that the
    lake and PRODUCTION have, never the identifier of the source.
    """

    rule: str
    source_system: Text
    customer_id: str | None = None
    counterparty_id: Text | None = None
    owner: Text
    reason: Text
    expires: date

    @check_whole(mode="after")
    def _check(self) -> Self:
        if (self.customer_id is None) == (self.counterparty_id is None):
            raise ValueError("give customer_id or counterparty_id, one of them")
        if self.customer_id is not None and not _TOKEN.fullmatch(self.customer_id):
            raise ValueError(
                f"customer_id is no token of {TOKEN_DIGITS} hexadecimal digits: copy it from"
                " PRODUCTION, and keep the identifier of the source out of this file"
            )
        return self

    def __str__(self) -> str:
        return f"{self.rule} for {self.party[0]} {self.party[1]} of {self.source_system}"

    @property
    def party(self) -> tuple[str, str]:
        """Return the column that identifies the customer or counterparty, and its value."""
        if self.customer_id is not None:
            return "customer_id", self.customer_id
        return "counterparty_id", str(self.counterparty_id)

    def covers(self, rule: FraudRule, payment: Mapping[str, Any]) -> bool:
        """Return whether the suppression keeps a rule from firing for a payment."""
        column, value = self.party
        return (
            rule.code == self.rule
            and payment["source_system"] == self.source_system
            and payment[column] == value
            and payment["event_date"] < self.expires
        )


class FraudRules(_Part):
    """All rules with their suppressions, and the version of their file."""

    version: Annotated[int, Field(ge=1)]
    rules: tuple[FraudRule, ...]
    suppressions: tuple[Suppression, ...] = ()

    @check_whole(mode="after")
    def _check(self) -> Self:
        codes = [rule.code for rule in self.rules]
        if repeated := _repeated(codes):
            raise ValueError(f"{', '.join(repeated)} stands twice: give each rule its code")
        if unknown := sorted({one.rule for one in self.suppressions} - {*codes}):
            raise ValueError(
                f"a suppression names {', '.join(unknown)}, which is no rule: use one of"
                f" {', '.join(codes)}"
            )
        if repeated := _repeated([str(one) for one in self.suppressions]):
            raise ValueError(f"the suppression of {', '.join(repeated)} stands twice: keep one")
        return self

    def firing(self, payment: Mapping[str, Any]) -> tuple[FraudRule, ...]:
        """Return the rules that fire for a payment on any date, in the order of the file.

        `payment` has its figures by name, and `PAYMENT_COLUMNS`. A rule that is suppressed for the
        customer or the counterparty does not fire.
        """
        return tuple(
            rule
            for rule in self.rules
            if rule.fires(payment, payment["currency"])
            and not any(one.covers(rule, payment) for one in self.suppressions)
        )

    def fired(self, payment: Mapping[str, Any]) -> tuple[FraudRule, ...]:
        """Return those of `firing` that count on the business date, most severe first.

        Rules of one severity are in the order of the file.
        """
        counting = [rule for rule in self.firing(payment) if rule.since <= payment["event_date"]]
        return tuple(sorted(counting, key=lambda rule: -RISK_LEVELS.index(rule.severity)))

    def expired(self, day: date) -> tuple[Suppression, ...]:
        """Return the suppressions without effect on payments from a business date on."""
        return tuple(one for one in self.suppressions if one.expires <= day)


def risk_of(fired: Sequence[FraudRule]) -> int:
    """Return the position in `RISK_LEVELS` of the severest rule; 0 if none fires."""
    return max((RISK_LEVELS.index(rule.severity) for rule in fired), default=0)


def read(path: Path = FILE) -> FraudRules:
    """Return the rules of a file.

    Raises:
        FraudRulesError: with each mistake and its place.
    """
    try:
        return FraudRules.model_validate(YAML(typ="safe").load(path))
    except YAMLError as error:
        raise FraudRulesError(f"{path.name} is no YAML file of rules: {error}") from error
    except ValidationError as error:
        mistakes = (f"{_place(e['loc'])}{_message(e)}" for e in error.errors())
        raise FraudRulesError(f"{path.name}: {'; '.join(mistakes)}.") from error


@cache
def fraud_rules() -> FraudRules:
    """Return the rules of the platform, read once; the log names suppressions that expired."""
    rules = read()
    for one in rules.expired(datetime.now(UTC).date()):
        _log.warning(
            "%s: the suppression of %s expired on %s and has no effect: remove or renew it (%s).",
            *(FILE.name, one, one.expires, one.owner),
        )
    return rules


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _place(location: Sequence[str | int]) -> str:
    return f"{'.'.join(map(str, location))}: " if location else ""


def _message(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ")
