"""Refresh tokens: each is used once for new tokens, until the session of its sign-in ends."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import timedelta
from typing import Final

import psycopg

from contracts.tables import TABLES
from serving.access.users import Caller, role_of
from serving.database import Database

SESSION_LIFETIME: Final = timedelta(hours=12)
"""From the sign-in to the end of its session, however often it is refreshed."""
_TOKENS: Final = TABLES["serving.refresh_tokens"].name
_ADD: Final = f"insert into {_TOKENS} values (%s, %s, %s, now() + %s, null)"  # noqa: S608
_REPLACE: Final = f"insert into {_TOKENS} values (%s, %s, %s, %s, null)"  # noqa: S608
_FORGET: Final = f"delete from {_TOKENS} where user_name = %s and expires_at < now()"  # noqa: S608
_USE: Final = (
    f"update {_TOKENS} set used_at = now()"  # noqa: S608 - our own names
    " where token_hash = %s and used_at is null and expires_at > now()"
    " returning session_id, user_name, expires_at"
)
_END: Final = (
    f"delete from {_TOKENS} where session_id ="  # noqa: S608 - our own names
    f" (select session_id from {_TOKENS} where token_hash = %s)"
)


class RefreshTokens:
    """The refresh tokens in serving.refresh_tokens, of which hashes are stored."""

    def __init__(self, database: Database) -> None:
        """Use the connections of the API."""
        self._database = database

    def begin(self, caller: Caller) -> str:
        """Begin a session of a user who has signed in, and return its first token.

        Raises:
            psycopg.Error: when Postgres is away.
        """
        token, session = secrets.token_urlsafe(32), str(uuid.uuid4())

        def added(connection: psycopg.Connection) -> None:
            connection.execute(_FORGET.encode(), (caller.name,))
            values = (_hash(token), session, caller.name, SESSION_LIFETIME)
            connection.execute(_ADD.encode(), values)

        self._database.run(added)
        return token

    def use(self, token: str) -> tuple[Caller, str] | None:
        """Return the user of a token with their present role, and the next token of the session.

        Return None for a token that is unknown, expired or of a disabled user. A token that is used
        again may be stolen: None, and its session ends.

        Raises:
            psycopg.Error: when Postgres is away.
        """
        following = secrets.token_urlsafe(32)

        def used(connection: psycopg.Connection) -> tuple[Caller, str] | None:
            row = connection.execute(_USE.encode(), (_hash(token),)).fetchone()
            role = role_of(connection, row[1]) if row else None
            if row is None or role is None:
                connection.execute(_END.encode(), (_hash(token),))
                return None
            session, name, ends = row
            connection.execute(_REPLACE.encode(), (_hash(following), session, name, ends))
            return Caller(name, role), following

        return self._database.run(used)

    def end(self, token: str) -> None:
        """End the session of a token, if there is one.

        Raises:
            psycopg.Error: when Postgres is away.
        """
        self._database.run(lambda connection: connection.execute(_END.encode(), (_hash(token),)))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
