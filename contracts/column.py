"""Declaration of a column: name, type, unit, range and class of personal data."""

from dataclasses import dataclass
from enum import StrEnum

from contracts.values import MONEY_DECIMALS, MONEY_DIGITS


class LogicalType(StrEnum):
    """Engine-neutral column types; `contracts/render/` maps them to each engine."""

    STRING = "string"
    INTEGER = "integer"
    LONG = "long"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"  # an instant, UTC, microseconds
    MONEY = f"decimal({MONEY_DIGITS},{MONEY_DECIMALS})"
    STRINGS = "array<string>"
    DATES = "array<date>"
    DOUBLES_BY_NAME = "map<string,double>"  # lake only
    JSON = "json"


class PersonalData(StrEnum):
    """Class of personal data, which decides how Processed protects a value."""

    NONE = "none"
    DIRECT = "direct identifier, a keyed token after Raw"
    ONLINE = "online identifier, a keyed token after Raw"
    QUASI = "quasi-identifier, coarsened after Raw"
    FINANCIAL = "financial"


@dataclass(frozen=True)
class Column:
    """One column. Its name identifies it on the whole platform."""

    name: str
    type: LogicalType
    description: str
    nullable: bool = False
    unit: str | None = None
    allowed: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    personal: PersonalData = PersonalData.NONE
