"""What is checked of a mapped row: declared once for the batch line and for the stream.

`spark/transforms/validate.py` checks the rows of a frame, `streaming/row_checks.py` a message.
The rule behind a reason is its description, with the columns or the limit that it is about.
"""

from collections.abc import Mapping
from typing import Final

from contracts.columns import COLUMNS
from contracts.values import LONGEST, VALUES, ValueClass
from sources.countries import ISO_3166
from sources.declaration import Source
from sources.rules import Constant

CODED: Final = tuple(
    name for name, kind in VALUES.items() if kind is ValueClass.CODE and COLUMNS[name].allowed
)
"""Columns that have a code of a closed list in every row."""
PLACES: Final = tuple(name for name, kind in VALUES.items() if kind is ValueClass.PLACE)
NUMBERED: Final = ("event_id", "customer_id", "instrument_id", "counterparty_id")
"""Identifiers that may be long numbers, which a spreadsheet rounds."""
ROUNDED: Final = r"^[0-9](\.[0-9]+)?[eE]\+[0-9]{1,3}$"
"""A long number as a spreadsheet writes it, rounded to at most fifteen digits. A thousand card
numbers are 4.78E+18, so that the payer is unknown."""


def allowed_codes(source: Source) -> Mapping[str, frozenset[str]]:
    """Return the codes that each closed list of a source has, by mapped column.

    Only the columns of `CODED` must have a value.
    """
    return {
        **{name: frozenset(COLUMNS[name].allowed or ()) for name in CODED},
        **{name: frozenset(codes) for name, codes in source.codes.items()},
        "country": ISO_3166,
    }


def longest_texts(source: Source) -> Mapping[str, int]:
    """Return the most characters of each mapped column that has text of the source's files."""
    longest = {}
    for name, kind in VALUES.items():
        rules = [version.mapping.get(name) for version in source.versions]
        if kind in LONGEST and not all(isinstance(rule, Constant | None) for rule in rules):
            longest[name] = LONGEST[kind]
    return longest


def place_range(name: str) -> tuple[float, float]:
    """Return the least and the greatest value of a coordinate."""
    declared = COLUMNS[name]
    if declared.minimum is None or declared.maximum is None:
        raise ValueError(f"the coordinate {name} is declared without a range")
    return float(declared.minimum), float(declared.maximum)


def overlong(name: str, longest: int) -> str:
    """Return what the rule about texts that are too long says of a column."""
    return f"{name} (at most {longest} characters)"


def plausible(source: Source) -> str:
    """Return what the rule about implausible times says of a source."""
    first, last = source.plausible_dates
    return f"{first} to {last}"
