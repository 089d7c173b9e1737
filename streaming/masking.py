"""What may be shown of a refused message: no card number, name, address or e-mail.

A field is shown when each column that it fills is no personal data. Any other field, one that no
column reads, and one that is longer than its kind may be, is masked. What looks like a card number
or an e-mail in a field that is shown, as when a source swaps its columns, is masked too.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from contracts.columns import COLUMNS, PersonalData
from contracts.values import LONGEST, VALUES, ValueClass
from sources.declaration import BECOMES, Version
from sources.rules import columns_of

MASK: Final = "***"
_SHORT: Final = LONGEST[ValueClass.CODE]
"""Most characters that are shown of an amount or a time."""
_SHOWN: Final = frozenset({PersonalData.NONE, PersonalData.FINANCIAL})
_PERSONS: Final = frozenset({"customer", "unknown", None})
"""Types of a counterparty that may be a person."""
_PERSONAL: Final = re.compile(r"[0-9](?:[ .-]?[0-9]){11,}|[^\s@]+@[^\s@]+")
"""A run of twelve digits or more, as card and account numbers have, or an e-mail address."""


def escaped(text: str | None, longest: int) -> str | None:
    r"""Return a text with its unusual characters escaped as in JSON, cut after `longest`.

    The quarantine shows identifiers in this form (`spark.transforms.text.escaped`).

    >>> escaped("e1\x00", 10)
    'e1\\u0000'
    """
    if text is None:
        return None
    return json.dumps(text[:longest])[1:-1].replace("\x7f", "?")[:longest]


class Masking:
    """The fields of a layout that may be shown, and those that are masked."""

    def __init__(self, version: Version) -> None:
        """Find the class of personal data of each field from the columns that it fills."""
        self._longest: dict[str, int] = {}
        hidden = set[str]()
        for name, rule in version.mapping.items():
            column = COLUMNS.get(BECOMES.get(name, name))
            for field in columns_of(rule):
                if column is None or column.personal not in _SHOWN:
                    hidden.add(field)
                longest = LONGEST.get(VALUES[name], _SHORT)
                self._longest[field] = max(self._longest.get(field, 0), longest)
        for field in hidden:
            del self._longest[field]
        self._event_id = columns_of(version.mapping["event_id"])
        payee = version.mapping.get("counterparty_id")
        self._payee = columns_of(payee) if payee else frozenset[str]()

    def payload(
        self, values: Mapping[str, str | None], counterparty_type: str | None
    ) -> dict[str, str | None]:
        """Return the values of a message by field, masked; a field without a value is None.

        The identifier of the payment is as in the quarantine. A counterparty that may be a person
        is masked.
        """
        is_person = counterparty_type in _PERSONS
        return {
            field: None if value is None else self._value(field, value, is_person)
            for field, value in values.items()
        }

    def _value(self, field: str, value: str, is_person: bool) -> str | None:
        longest = self._longest.get(field)
        if field in self._event_id and longest is not None:
            return escaped(value, longest)
        if longest is None or len(value) > longest or (is_person and field in self._payee):
            return MASK
        return escaped(_PERSONAL.sub(MASK, value), longest)
