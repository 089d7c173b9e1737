"""The keys that sign access tokens: a JSON Web Key Set (RFC 7517) in a file of its owner.

The first key signs. The others verify the tokens that they have signed until the last of these
expires. `make rotate-signing-key` puts a new key first, and each process of the API uses it within
a second.
"""

from __future__ import annotations

import base64
import logging
import secrets
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

TOKEN_LIFETIME: Final = timedelta(minutes=15)
ALGORITHM: Final = "HS256"
_LOOK_SECONDS: Final = 1.0
"""Time between two looks at the file. A look at each request would wait for the decisions."""
_KEY_BYTES: Final = 32
_K: Final = "^[A-Za-z0-9_-]{43,}$"
"""At least 32 bytes as base64url."""
_log = logging.getLogger(__name__)


class SigningKeyError(ValueError):
    """Raised when the file of the keys has no key set, or cannot be read."""


class SigningKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """A JSON Web Key. `exp` is the time at which it stops to verify tokens, null for the first."""

    kty: Literal["oct"]
    alg: Literal["HS256"]
    kid: str
    k: Annotated[str, Meta(pattern=_K)]
    exp: int | None = None


class _KeySet(msgspec.Struct, frozen=True):
    keys: Annotated[tuple[SigningKey, ...], Meta(min_length=1)]


class SigningKeys:
    """The key set of a file, which is read again when the file changes."""

    def __init__(self, file: Path) -> None:
        """Read the keys.

        Raises:
            SigningKeyError: when the file cannot be read or has no key set.
        """
        self._file = file
        self._changed_at = _changed_at(file)
        self._keys = _read(file)
        self._looked_at = time.monotonic()

    def first(self) -> SigningKey:
        """Return the key that signs."""
        self._read_changes()
        return self._keys[0]

    def find(self, kid: str, now: datetime) -> SigningKey | None:
        """Return the key with an identifier, None if there is none or it has expired."""
        is_known = any(key.kid == kid for key in self._keys)
        if not is_known or time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._read_changes()
        return next(
            (
                key
                for key in self._keys
                if key.kid == kid and (key.exp is None or now.timestamp() < key.exp)
            ),
            None,
        )

    def _read_changes(self) -> None:
        self._looked_at = time.monotonic()
        try:
            changed_at = _changed_at(self._file)
            if changed_at != self._changed_at:
                self._keys = _read(self._file)
                self._changed_at = changed_at
        except SigningKeyError as error:
            _log.error("the signing keys stay as they are: %s", error)


def rotated(written: str | None, now: datetime) -> str:
    """Return a key set with a new first key and the keys of `written` that still verify tokens.

    Raises:
        SigningKeyError: when `written` is no key set.
    """
    new = base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).rstrip(b"=").decode()
    key = SigningKey("oct", ALGORITHM, secrets.token_hex(8), new)
    last = int((now + TOKEN_LIFETIME).timestamp()) + 1
    earlier = [
        msgspec.structs.replace(one, exp=min(one.exp or last, last))
        for one in (_parsed(written) if written else ())
        if one.exp is None or now.timestamp() < one.exp
    ]
    return msgspec.json.encode(_KeySet((key, *earlier))).decode()


def _changed_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError as error:
        raise SigningKeyError(f"The signing keys cannot be read: {error}.") from error


def _read(file: Path) -> tuple[SigningKey, ...]:
    try:
        return _parsed(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise SigningKeyError(f"The signing keys cannot be read: {error}.") from error


def _parsed(written: str) -> tuple[SigningKey, ...]:
    try:
        return msgspec.json.decode(written, type=_KeySet).keys
    except msgspec.DecodeError as error:
        raise SigningKeyError(
            f"The signing keys are no JSON Web Key Set: {error}. Delete the file and start the"
            " platform to create it; all users sign in again."
        ) from error
