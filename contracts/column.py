"""What a column is: its name, type, unit, range and what it says about a person."""

from dataclasses import dataclass
from enum import StrEnum


class LogicalType(StrEnum):
    """Engine-neutral column types; `contracts/render/` maps them to each engine."""

    STRING = "string"
    INTEGER = "integer"
    LONG = "long"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"  # an instant, UTC, microseconds
    MONEY = "decimal(18,2)"
    STRINGS = "array<string>"
    DATES = "array<date>"
    JSON = "json"


class PersonalData(StrEnum):
    """What a value says about a person, and so what happens to it between Raw and Processed."""

    NONE = "none"
    DIRECT = "direct identifier, a keyed token beyond Raw"
    ONLINE = "online identifier, a keyed token beyond Raw"
    QUASI = "quasi-identifier, coarsened beyond Raw"
    FINANCIAL = "financial"


@dataclass(frozen=True)
class Column:
    """One column: its name is its identity on the whole platform."""

    name: str
    type: LogicalType
    description: str
    nullable: bool = False
    unit: str | None = None
    allowed: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    personal: PersonalData = PersonalData.NONE
