"""Access tokens: JSON Web Tokens that a user gets for name and password."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import jwt
from pydantic import SecretStr

from contracts.serving_columns import USER_ROLES
from serving.users import Caller

LIFETIME: Final = timedelta(minutes=15)
_ALGORITHM: Final = "HS256"
_ISSUER: Final = "tollgate-api"
_CLAIMS: Final = ("iss", "sub", "role", "iat", "exp")


class TokenError(PermissionError):
    """Raised for a token that is expired, forged or incomplete."""


class AccessTokens:
    """Issues and reads tokens, signed with one key."""

    def __init__(self, key: SecretStr) -> None:
        """Sign with `key`, which has at least 32 bytes."""
        self._key = key.get_secret_value()

    def issue(self, caller: Caller, now: datetime | None = None) -> str:
        """Return a token of a user that is valid for `LIFETIME`."""
        at = now or datetime.now(UTC)
        claims = {
            "iss": _ISSUER,
            "sub": caller.name,
            "role": caller.role,
            "iat": at,
            "exp": at + LIFETIME,
        }
        return jwt.encode(claims, self._key, _ALGORITHM)

    def caller(self, token: str) -> Caller:
        """Return the user of a token.

        Raises:
            TokenError: with a sentence why the token is not accepted.
        """
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                options={"require": list(_CLAIMS)},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenError("The token is expired: sign in again.") from error
        except jwt.InvalidTokenError as error:
            raise TokenError("The token is not valid: sign in again.") from error
        if claims["role"] not in USER_ROLES:
            raise TokenError("The token has no role of the API: sign in again.")
        return Caller(claims["sub"], claims["role"])
