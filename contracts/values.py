"""What a value may be, by the class of its column.

Landing, Spark and `sources check` read these rules. Text is made canonical first: characters that
are not displayed are removed, blanks of any kind become a plain one, blanks at the ends are
removed, and the rest is put into Unicode NFC. A text that then has a control character or is too
long is refused. Patterns are written for Python's `re` and for java.util.regex alike.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Final


class ValueClass(StrEnum):
    """Class of a mapped column, which decides how its values are read and what is refused."""

    IDENTIFIER = "identifier"
    CODE = "code"
    NAME = "name"
    LIST = "list of codes"
    ADDRESS = "address, of which only the region is stored"
    MONEY = "money"
    PLACE = "coordinate"
    TIME = "time"
    POSITION = "position"
    LABEL = "label"


CONTROL: Final = "[\x00-\x1f\x7f-\x9f]"
"""Control characters, C0 and C1. Postgres stores no text with the first, NUL."""
NOT_DISPLAYED: Final = (
    "[\u00ad\u034f\u061c\u115f-\u1160\u17b4-\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Format characters and others that are not displayed: Unicode's Default_Ignorable_Code_Point, and
the marks of interlinear annotations."""
SEPARATOR: Final = "[\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""Unicode's space and line separators, except the plain blank."""
ENDS: Final = "\t\n\v\f\r \x85"
"""Blanks that are removed at the ends of a text, whose separators are plain blanks by then."""

LONGEST: Final[Mapping[ValueClass, int]] = {
    ValueClass.IDENTIFIER: 256,
    ValueClass.CODE: 64,
    ValueClass.NAME: 256,
    ValueClass.LIST: 1_024,
}
"""Most characters of a text. Postgres' index rows have at most 2,704 bytes: two identifiers of four
bytes a character fit into a key, with the codes and names beside them."""
LONGEST_COMPOSED: Final = 4 * max(LONGEST.values())
"""Most characters of a text that is put into NFC, whose time grows with the square of a run of
combining characters. It composes one character of four at most: a longer text is too long for any
column in either form."""

TOKEN_DIGITS: Final = 32
"""Hexadecimal digits of the token that replaces an identifier of a person."""

EXPONENT: Final = r"(?:[eE]-?[0-9]{1,3}|e\+[0-9]{2,3})?"
"""The end of a number. R and C write 100000 as `1e+05`. `1E+05` is how spreadsheets write what they
have rounded: it is no number."""
NUMBER: Final = rf"[+-]?[0-9]+(?:\.[0-9]+)?{EXPONENT}"
"""A whole text that every engine reads as the same number; each anchors it differently."""
COORDINATE: Final = r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
"""A whole text that is a coordinate: a number in any notation that JSON has. Of a coordinate one
decimal is stored, and a spreadsheet keeps more."""
MONEY_WHOLE_DIGITS: Final = 16
MONEY_DECIMALS: Final = 4
MONEY_DIGITS: Final = MONEY_WHOLE_DIGITS + MONEY_DECIMALS
MONEY_UNITS: Final = 10**MONEY_DECIMALS
"""Digits of a stored amount, with the decimals of the smallest minor unit of ISO 4217 (CLF, UYW).
Amounts are exact decimals: one with more decimals than the minor unit of its currency is refused
and not rounded."""

FRAUD_WORDS: Final = ("true", "yes", "y")
GENUINE_WORDS: Final = ("false", "no", "n")
"""Spellings of a label beside the numbers one and zero, in any case. Other values are no label."""

PLAUSIBLE_DATES: Final = (date(2000, 1, 1), date(2099, 12, 31))
"""First and last date of a payment, for a source that declares none: neither a clock that starts in
1970 nor a date that stands for none, as 9999-12-31."""
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How much later than its arrival a payment may be dated: the clocks of tills, gateways and brokers
differ. Kerberos (RFC 4120) tolerates as much."""
POSSIBLE_DATES: Final = (date(1900, 1, 1), date(2199, 12, 31))
"""First and last date that a source may declare. The first version of a party starts in 1900."""

VALUES: Final[Mapping[str, ValueClass]] = {
    **dict.fromkeys(
        ("event_id", "customer_id", "instrument_id", "counterparty_id", "device_id", "ip_hash"),
        ValueClass.IDENTIFIER,
    ),
    **dict.fromkeys(
        (
            *("event_at_precision", "counterparty_type", "transaction_type", "channel"),
            *("payment_method", "currency", "country", "scenario"),
        ),
        ValueClass.CODE,
    ),
    "merchant_category": ValueClass.NAME,
    "source_flags": ValueClass.LIST,
    "location_text": ValueClass.ADDRESS,
    "source_sequence": ValueClass.POSITION,
    "is_fraud": ValueClass.LABEL,
    **dict.fromkeys(("event_at", "label_known_at"), ValueClass.TIME),
    **dict.fromkeys(
        ("transaction_lat", "transaction_lon", "home_lat", "home_lon"), ValueClass.PLACE
    ),
    **dict.fromkeys(
        (
            *("amount", "payer_balance_before", "payer_balance_after"),
            *("payee_balance_before", "payee_balance_after"),
        ),
        ValueClass.MONEY,
    ),
}
"""The class of each column that a mapping may fill."""


def canonical(text: str) -> str:
    r"""Return the one form of a text under which it identifies something.

    >>> canonical("\u00a0Cafe\u0301\u200b ") == "Caf\u00e9"
    True
    """
    if text.isascii() and text.isprintable():
        return text.strip(ENDS)
    displayed = re.sub(NOT_DISPLAYED, "", text)
    trimmed = re.sub(SEPARATOR, " ", displayed).strip(ENDS)
    return trimmed if len(trimmed) > LONGEST_COMPOSED else unicodedata.normalize("NFC", trimmed)


def flaw(text: str, value_class: ValueClass) -> str | None:
    r"""Return why a text is no value of its class, or None.

    >>> flaw("e1\x00", ValueClass.IDENTIFIER)
    'has the control character U+0000'
    """
    if control := re.search(CONTROL, text):
        return f"has the control character U+{ord(control[0]):04X}"
    longest = LONGEST.get(value_class)
    if longest is not None and len(text) > longest:
        return f"is longer than the {longest} characters of a {value_class}"
    return None
