"""Routes of the admin: add, list, disable and enable users."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg
from fastapi import FastAPI, HTTPException, Response

from serving import docs_page
from serving.access.users import Caller, Users
from serving.bodies import Body
from serving.request import BadRequestError, Mistake, decoded
from serving.schemas import answer, json_response, refusals, request_body

USERS: Final = "/api/v1/users"


class UserRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A user to add.

    The role `service` has payments decided, `analyst` reads PRODUCTION and works on cases, and
    `admin` does both and keeps the users.
    """

    username: str
    password: str
    role: str


class UserChange(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A change of a user: a disabled one cannot sign in, and has no session."""

    is_disabled: bool


class User(msgspec.Struct, frozen=True):
    """A user; `is_locked` is true for some minutes after too many wrong passwords."""

    username: str
    role: str
    created_at: datetime
    is_disabled: bool
    is_locked: bool


class UserList(msgspec.Struct, frozen=True):
    """All users, by name."""

    users: list[User]


USER_TYPES: Final = (UserRequest, UserChange, UserList)


def add_users(app: FastAPI, users: Users, admin: Any) -> None:
    """Add the routes to an application, for the callers of the dependency `admin`."""
    options: dict[str, Any] = {"tags": ["users"], "response_class": Response}

    @app.post(
        USERS,
        summary="Add a user, as an admin",
        status_code=201,
        dependencies=[admin],
        openapi_extra=request_body("UserRequest", docs_page.USER),
        responses=refusals(s409="Another user has this name."),
        **options,
    )
    def add_user(body: Body) -> Response:
        user = decoded(body, UserRequest)
        try:
            users.add(user.username, user.password, user.role)
        except psycopg.Error as error:
            raise HTTPException(503, "Postgres is away: add the user later.") from error
        return json_response({"username": user.username, "role": user.role}, 201)

    @app.get(
        USERS,
        summary="List the users, as an admin",
        dependencies=[admin],
        responses={200: answer("The users.", "UserList"), **refusals()},
        **options,
    )
    def list_users() -> Response:
        try:
            found = users.all()
        except psycopg.Error as error:
            raise HTTPException(503, "Postgres is away: ask again later.") from error
        return json_response(UserList([User(**one) for one in found]))

    @app.patch(
        USERS + "/{username}",
        summary="Disable or enable a user, as an admin",
        status_code=204,
        openapi_extra=request_body("UserChange", {"is_disabled": True}),
        responses=refusals(s404="No user has this name.", s409="An admin disables another user."),
        **options,
    )
    def change_user(username: str, body: Body, caller: Caller = admin) -> Response:
        change = decoded(body, UserChange)
        if username == caller.name:
            sentence = "username: another admin has to disable or enable you."
            raise BadRequestError([Mistake("username", sentence)], 409)
        try:
            is_known = users.set_disabled(username, is_disabled=change.is_disabled)
        except psycopg.Error as error:
            raise HTTPException(503, "Postgres is away: change the user later.") from error
        if not is_known:
            raise BadRequestError([Mistake("username", "username: no user has this name.")], 404)
        return Response(status_code=204)
