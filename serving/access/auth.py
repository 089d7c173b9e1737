"""Routes to sign in, to refresh a token, to sign out and to change one's own password."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import psycopg
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import OAuth2PasswordBearer

from serving.access.access_tokens import AccessTokens, TokenError
from serving.access.rate_limits import RateLimits
from serving.access.refresh_tokens import RefreshTokens
from serving.access.signing_keys import TOKEN_LIFETIME
from serving.access.users import LOCK_OUT, MOST_FAILURES, Caller, Users
from serving.bodies import Body, form_fields
from serving.request import BadRequestError, Mistake, decoded
from serving.schemas import answer, form_body, json_response, refusals, request_body

LOGIN: Final = "/api/v1/auth/login"
REFRESH: Final = "/api/v1/auth/refresh"
LOGOUT: Final = "/api/v1/auth/logout"
PASSWORD: Final = "/api/v1/auth/password"  # noqa: S105 - a path
_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}
_NOT_STORED: Final = {"Cache-Control": "no-store"}
_WRONG: Final = (
    f"Name or password is wrong. After {MOST_FAILURES} wrong passwords a name is locked for"
    f" {LOCK_OUT.seconds // 60} minutes."
)
_bearer: Final = OAuth2PasswordBearer(
    LOGIN, refreshUrl=REFRESH, description="Name and password of a user."
)


class SignedIn(msgspec.Struct, frozen=True):
    """An access token, its seconds, and the token that gives the next ones."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "bearer"  # noqa: S105 - a name


class PasswordRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The password of the caller, and the one that replaces it."""

    password: str
    new_password: str


AUTH_TYPES: Final = (SignedIn, PasswordRequest)


class Callers:
    """Gives the callers of routes by their tokens."""

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    def with_role(self, *roles: str) -> Any:
        """Return the dependency that gives the caller, and refuses one without a role."""

        async def caller(request: Request, token: str = Depends(_bearer)) -> Caller:
            try:
                known = self._tokens.caller(token)
            except TokenError as error:
                raise HTTPException(401, str(error), _CHALLENGE) from error
            request.state.caller = known.name
            if known.role not in roles:
                raise HTTPException(403, f"The role {known.role} may not do this.")
            return known

        return Depends(caller)


def add_auth(
    app: FastAPI,
    users: Users,
    sessions: RefreshTokens,
    tokens: AccessTokens,
    limits: RateLimits,
    anyone: Any,
    admin_name: str,
) -> None:
    """Add the routes to an application.

    `anyone` is the dependency that gives a caller of any role. The user `admin_name` has the
    password of the platform's secrets.
    """

    def within_limit(request: Request) -> None:
        limits.sign_in(request.client.host if request.client else "")

    def signed_in(caller: Caller, refresh_token: str) -> Response:
        seconds = int(TOKEN_LIFETIME.total_seconds())
        return json_response(
            SignedIn(tokens.issue(caller), refresh_token, seconds), headers=_NOT_STORED
        )

    options: dict[str, Any] = {
        "tags": ["sign in"],
        "dependencies": [Depends(within_limit)],
        "response_class": Response,
    }
    tokens_given = {200: answer("The tokens.", "SignedIn"), **refusals()}

    @app.post(
        LOGIN,
        summary="Sign in: form fields username and password give an access and a refresh token",
        openapi_extra=form_body(username="admin", password="the password that make login prints"),  # noqa: S106
        responses=tokens_given,
        **options,
    )
    def login(body: Body) -> Response:
        name, password = form_fields(body, "username", "password")
        try:
            caller = users.signed_in(name, password)
            if caller is None:
                raise HTTPException(401, _WRONG, _CHALLENGE)
            return signed_in(caller, sessions.begin(caller))
        except psycopg.Error as error:
            raise _away("sign in again later") from error

    @app.post(
        REFRESH,
        summary="Exchange a refresh token, which is valid once, for new tokens",
        openapi_extra=form_body(refresh_token="the refresh_token of the answer before"),  # noqa: S106
        responses=tokens_given,
        **options,
    )
    def refresh(body: Body) -> Response:
        (token,) = form_fields(body, "refresh_token")
        try:
            used = sessions.use(token)
        except psycopg.Error as error:
            raise _away("refresh the token later") from error
        if used is None:
            sentence = "The refresh token is used, expired or unknown: sign in again."
            raise HTTPException(401, sentence, _CHALLENGE)
        return signed_in(*used)

    @app.post(
        LOGOUT,
        summary="End the session of a refresh token",
        status_code=204,
        openapi_extra=form_body(refresh_token="the latest refresh_token"),  # noqa: S106
        responses=refusals(),
        **options,
    )
    def logout(body: Body) -> Response:
        (token,) = form_fields(body, "refresh_token")
        try:
            sessions.end(token)
        except psycopg.Error as error:
            raise _away("sign out later") from error
        return Response(status_code=204)

    @app.post(
        PASSWORD,
        summary="Change one's own password, which ends one's sessions",
        status_code=204,
        openapi_extra=request_body(
            "PasswordRequest",
            {"password": "the present password", "new_password": "twelve characters or more"},
        ),
        responses=refusals(s409="The password is a secret of the platform."),
        **options,
    )
    def change_password(body: Body, caller: Caller = anyone) -> Response:
        wanted = decoded(body, PasswordRequest)
        if caller.name == admin_name:
            sentence = (
                f"new_password: the password of {admin_name} is a secret of the platform. Change it"
                " there and start the API again."
            )
            raise BadRequestError([Mistake("new_password", sentence)], 409)
        try:
            if users.signed_in(caller.name, wanted.password) is None:
                raise HTTPException(401, _WRONG, _CHALLENGE)
            users.change_password(caller.name, wanted.new_password)
        except psycopg.Error as error:
            raise _away("change the password later") from error
        return Response(status_code=204)


def _away(what: str) -> HTTPException:
    return HTTPException(503, f"Postgres is away: {what}.")
