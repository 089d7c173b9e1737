"""The users of the decision API, with scrypt hashes of their passwords.

``python -m serving.users`` gives the admin the password of the settings. The platform runs it when
the API starts. The admin adds other users.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import psycopg
from werkzeug.security import check_password_hash, generate_password_hash

from contracts.serving_columns import USER_ROLES
from contracts.settings import Settings, load_settings
from contracts.tables import TABLES
from serving.request import BadRequestError, Mistake

if TYPE_CHECKING:
    from serving.database import Database

USERS: Final = TABLES["serving.users"]
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_NAMES: Final = ", ".join(USERS.column_names)
_FIND: Final = f"select user_role, password_hash from {USERS.name} where user_name = %s"  # noqa: S608
_ADD: Final = f"insert into {USERS.name} ({_NAMES}) values (%s, %s, %s, %s)"  # noqa: S608


class Caller(NamedTuple):
    """A user who has signed in."""

    name: str
    role: str


class Users:
    """The users in serving.users."""

    def __init__(self, database: Database) -> None:
        """Use the connections of the API."""
        self._database = database

    def signed_in(self, name: str, password: str) -> Caller | None:
        """Return the user with this name and password, None if there is none.

        It takes the same time for a name that no user has.

        Raises:
            psycopg.Error: when Postgres is away.
        """
        if not _NAME.fullmatch(name) or len(password) > LONGEST_PASSWORD:
            return None
        row = self._database.run(lambda one: one.execute(_FIND.encode(), (name,)).fetchone())
        role, known = row or (None, _unknown())
        is_right = check_password_hash(known, password)
        return Caller(name, role) if is_right and role is not None else None

    def add(self, name: str, password: str, role: str) -> None:
        """Add a user.

        Raises:
            BadRequestError: naming the field that is wrong; with the status 409 for a known name.
            psycopg.Error: when Postgres is away.
        """
        mistakes = []
        if not _NAME.fullmatch(name):
            text = "username: use a to z, 0 to 9, _, . and -, a letter first, 64 at most."
            mistakes.append(Mistake("username", text))
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            text = f"password: use {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters."
            mistakes.append(Mistake("password", text))
        if role not in USER_ROLES:
            mistakes.append(Mistake("role", f"role: use one of {', '.join(USER_ROLES)}."))
        if mistakes:
            raise BadRequestError(mistakes)
        values = (name, role, generate_password_hash(password), datetime.now(UTC))
        try:
            self._database.run(lambda connection: connection.execute(_ADD.encode(), values))
        except psycopg.errors.UniqueViolation as error:
            sentence = "username: a user has this name. Choose another one."
            raise BadRequestError([Mistake("username", sentence)], 409) from error


@cache
def _unknown() -> str:
    """Return a hash to compare with when no user has a name."""
    return generate_password_hash("")


def ensure_admin(settings: Settings) -> None:
    """Add the admin, or give the admin the password of the settings.

    Raises:
        SettingsError: when no password is set.
        psycopg.Error: when Postgres is away.
    """
    name, password = settings.api.username, settings.api.password.get_secret_value()
    with psycopg.connect(settings.warehouse.dsn("loader")) as loader:
        row = loader.execute(_FIND.encode(), (name,)).fetchone()
        if row and row[0] == "admin" and check_password_hash(row[1], password):
            return
        loader.execute(f"delete from {USERS.name} where user_name = %s".encode(), (name,))  # noqa: S608
        values = (name, "admin", generate_password_hash(password), datetime.now(UTC))
        loader.execute(_ADD.encode(), values)


if __name__ == "__main__":
    ensure_admin(load_settings())
