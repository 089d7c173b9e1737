"""Access tokens: JSON Web Tokens that a user gets for name and password."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import jwt
import msgspec

from contracts.serving_columns import USER_ROLES
from serving.access.signing_keys import ALGORITHM, TOKEN_LIFETIME, SigningKey, SigningKeys
from serving.access.users import Caller

_ISSUER: Final = "tollgate-api"
_CLAIMS: Final = ("iss", "sub", "role", "iat", "exp")


class TokenError(PermissionError):
    """Raised for a token that is expired, forged or incomplete."""


class AccessTokens:
    """Issues and reads tokens, signed with the keys of a set."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def issue(self, caller: Caller, now: datetime | None = None) -> str:
        """Return a token of a user that is valid for `TOKEN_LIFETIME`."""
        at = now or datetime.now(UTC)
        claims = {
            "iss": _ISSUER,
            "sub": caller.name,
            "role": caller.role,
            "iat": at,
            "exp": at + TOKEN_LIFETIME,
        }
        key = self._keys.first()
        return jwt.encode(claims, _jwk(key), headers={"kid": key.kid})

    def caller(self, token: str) -> Caller:
        """Return the user of a token.

        Raises:
            TokenError: with a sentence why the token is not accepted.
        """
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys.find(str(kid), datetime.now(UTC))
            if key is None:
                raise TokenError("The key of the token is not in use: sign in again.")
            claims = jwt.decode(
                token,
                _jwk(key),
                algorithms=[ALGORITHM],
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


@lru_cache(maxsize=8)
def _jwk(key: SigningKey) -> jwt.PyJWK:
    return jwt.PyJWK(msgspec.to_builtins(key))
