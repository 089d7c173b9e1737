"""The users of the decision API, with Argon2 hashes of their passwords.

``python -m serving.access.users`` gives the admin the password of the settings. The platform runs
it when the API starts. The admin adds other users.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg
from psycopg.rows import dict_row
from pwdlib import PasswordHash

from contracts.serving_columns import USER_ROLES
from contracts.settings import Settings, load_settings
from contracts.tables import TABLES
from serving.request import BadRequestError, Mistake

if TYPE_CHECKING:
    from serving.database import Database

USERS: Final = TABLES["serving.users"]
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
_passwords: Final = PasswordHash.recommended()
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
MOST_FAILURES: Final = 5
LOCK_OUT: Final = timedelta(minutes=15)
_FIND: Final = f"select user_role, password_hash from {USERS.name} where user_name = %s"  # noqa: S608
_ROLE: Final = f"select user_role from {USERS.name} where user_name = %s and not is_disabled"  # noqa: S608
_ADD: Final = f"insert into {USERS.name} values (%s, %s, %s, %s, false, 0, null)"  # noqa: S608
_IS_LOCKED: Final = (
    f"(failed_sign_in_count >= {MOST_FAILURES}"
    " and coalesce(failed_sign_in_at > now() - %(lock_out)s, false))"
)
_FAILED: Final = (
    f"update {USERS.name} set failed_sign_in_at = now(), failed_sign_in_count = case"  # noqa: S608
    " when failed_sign_in_at > now() - %(lock_out)s then failed_sign_in_count + 1 else 1 end"
    f" where user_name = %(name)s and not {_IS_LOCKED}"
)
_SIGNED_IN: Final = (
    f"update {USERS.name} set failed_sign_in_count = 0"  # noqa: S608 - our own names
    f" where user_name = %(name)s and not is_disabled and not {_IS_LOCKED}"
)
_LIST: Final = (
    "select user_name as username, user_role as role, created_at, is_disabled,"  # noqa: S608
    f" {_IS_LOCKED} as is_locked from {USERS.name} order by user_name"
)
_DISABLE: Final = f"update {USERS.name} set is_disabled = %s where user_name = %s"  # noqa: S608
_PASSWORD: Final = f"update {USERS.name} set password_hash = %s where user_name = %s"  # noqa: S608
_END_SESSIONS: Final = "delete from serving.refresh_tokens where user_name = %s"


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

        A user is locked out for `LOCK_OUT` after `MOST_FAILURES` wrong passwords: until then also
        the right password gives None, as it does for a disabled user. Each case, also a name that
        no user has, takes the time of a comparison.

        Raises:
            psycopg.Error: when Postgres is away.
        """
        if not _NAME.fullmatch(name) or len(password) > LONGEST_PASSWORD:
            return None
        row = self._database.run(lambda one: one.execute(_FIND.encode(), (name,)).fetchone())
        role, known = row or (None, _unknown())
        is_right = _passwords.verify(password, known) and role is not None
        # Postgres counts after the comparison, so that of many guesses at once the right one counts
        # only if fewer than MOST_FAILURES wrong ones were counted before.
        statement = _SIGNED_IN if is_right else _FAILED
        values = {"name": name, "lock_out": LOCK_OUT}
        changed = self._database.run(
            lambda one: one.execute(statement.encode(), values).rowcount == 1
        )
        return Caller(name, role) if is_right and changed else None

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
        mistakes += _of_password("password", password)
        if role not in USER_ROLES:
            mistakes.append(Mistake("role", f"role: use one of {', '.join(USER_ROLES)}."))
        if mistakes:
            raise BadRequestError(mistakes)
        values = (name, role, _passwords.hash(password), datetime.now(UTC))
        try:
            self._database.run(lambda connection: connection.execute(_ADD.encode(), values))
        except psycopg.errors.UniqueViolation as error:
            sentence = "username: a user has this name. Choose another one."
            raise BadRequestError([Mistake("username", sentence)], 409) from error

    def all(self) -> list[dict[str, Any]]:
        """Return name, role and state of each user, without password hashes.

        Raises:
            psycopg.Error: when Postgres is away.
        """

        def listed(connection: psycopg.Connection) -> list[dict[str, Any]]:
            with connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(_LIST.encode(), {"lock_out": LOCK_OUT}).fetchall()

        return self._database.run(listed)

    def set_disabled(self, name: str, *, is_disabled: bool) -> bool:
        """Disable a user and end their sessions, or enable the user; False if there is none.

        Raises:
            psycopg.Error: when Postgres is away.
        """
        if not _NAME.fullmatch(name):
            return False

        def changed(connection: psycopg.Connection) -> bool:
            done = connection.execute(_DISABLE.encode(), (is_disabled, name)).rowcount == 1
            if is_disabled:
                connection.execute(_END_SESSIONS.encode(), (name,))
            return done

        return self._database.run(changed)

    def change_password(self, name: str, new: str) -> None:
        """Give a user a new password and end their sessions.

        Raises:
            BadRequestError: naming `new_password` if it is too short or too long.
            psycopg.Error: when Postgres is away.
        """
        if mistakes := _of_password("new_password", new):
            raise BadRequestError(mistakes)
        written = _passwords.hash(new)

        def changed(connection: psycopg.Connection) -> None:
            connection.execute(_PASSWORD.encode(), (written, name))
            connection.execute(_END_SESSIONS.encode(), (name,))

        self._database.run(changed)


def role_of(connection: psycopg.Connection, name: str) -> str | None:
    """Return the role of a user, None for a disabled or an unknown one."""
    row = connection.execute(_ROLE.encode(), (name,)).fetchone()
    return None if row is None else str(row[0])


def _of_password(field: str, password: str) -> list[Mistake]:
    if SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        return []
    text = f"{field}: use {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters."
    return [Mistake(field, text)]


@cache
def _unknown() -> str:
    """Return a hash to compare with when no user has a name."""
    return _passwords.hash("")


def ensure_admin(settings: Settings) -> None:
    """Add the admin, or give the admin the password of the settings.

    Raises:
        SettingsError: when no password is set.
        psycopg.Error: when Postgres is away.
    """
    name, password = settings.api.username, settings.api.password.get_secret_value()
    with psycopg.connect(settings.warehouse.dsn("loader")) as loader:
        row = loader.execute(_FIND.encode(), (name,)).fetchone()
        if row and row[0] == "admin" and _passwords.verify(password, row[1]):
            return
        loader.execute(f"delete from {USERS.name} where user_name = %s".encode(), (name,))  # noqa: S608
        loader.execute(_END_SESSIONS.encode(), (name,))
        values = (name, "admin", _passwords.hash(password), datetime.now(UTC))
        loader.execute(_ADD.encode(), values)


if __name__ == "__main__":
    ensure_admin(load_settings())
