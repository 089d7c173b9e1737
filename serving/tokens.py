"""Keyed tokens of identifiers, equal to those of `spark/transforms/pseudonymise.py`."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts.values import TOKEN_DIGITS
from spark.transforms.pseudonymise import TOKEN_KINDS

_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")


class KeyFileError(ValueError):
    """Raised when the file of the key has no key."""


class Tokens:
    """Makes tokens with the key of a file."""

    def __init__(self, key_file: Path) -> None:
        """Read the key.

        Raises:
            KeyFileError: when the file has no 64 hexadecimal digits, or cannot be read.
        """
        try:
            written = "".join(key_file.read_text().split())
        except OSError as error:
            raise KeyFileError(f"The pseudonymisation key cannot be read: {error}.") from error
        if not _KEY.fullmatch(written):
            raise KeyFileError("The pseudonymisation key file does not hold 64 hexadecimal digits.")
        self._key = bytes.fromhex(written)

    def of(self, values: Mapping[str, str | None], source: str) -> dict[str, str | None]:
        """Return the identifiers of a payment as tokens, None where there is none.

        `values` has the columns of `TOKEN_KINDS`, `counterparty_id` and `counterparty_type`. A
        counterparty that is a customer has the token that it has as a payer.
        """
        tokens = {
            name: self.token(kind, source, values.get(name)) for name, kind in TOKEN_KINDS.items()
        }
        payee = values.get("counterparty_id")
        if values.get("counterparty_type") == "customer":
            payee = self.token("customer", source, payee)
        return {**tokens, "counterparty_id": payee}

    def hash_of(self, payment: Mapping[str, Any]) -> str:
        """Return the keyed hash over a payment, except for its position."""
        content = {name: value for name, value in payment.items() if name != "source_sequence"}
        written = msgspec.json.encode(content, order="sorted")
        return hmac.new(self._key, b"payment|" + written, hashlib.sha256).hexdigest()

    def token(self, kind: str, source: str, value: str | None) -> str | None:
        """Return the token of a value of a kind, None for none."""
        if value is None:
            return None
        message = f"{kind}|{source}|{value}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:TOKEN_DIGITS]
