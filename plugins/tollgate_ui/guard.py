"""Accept requests only from users who are logged in to Airflow.

A FastAPI dependency cannot guard a mounted application, so this is ASGI middleware.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from fastapi import HTTPException, status
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

_HEADERS: Final = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    # These pages share the origin and the login of Airflow, so they must not run external scripts.
    "Content-Security-Policy": (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "same-origin",
}
_REPLACED: Final = ("X-Frame-Options",)


class LoginGuard:
    """Refuse users who are not logged in: 401, or a redirect of a browser to the login page."""

    def __init__(self, app: ASGIApp) -> None:
        """Guard `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await WebSocketClose(reason="no websockets here")(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                _replace(headers, _HEADERS.items())
            await send(message)

        refusal = await _refusal(Request(scope))
        await (refusal or self._app)(scope, receive, with_headers)


def _replace(headers: MutableHeaders, items: Iterable[tuple[str, str]]) -> None:
    for name in _REPLACED:
        if name in headers:
            del headers[name]
    for name, value in items:
        headers[name] = value


async def _refusal(request: Request) -> Response | None:
    """Return the refusal of a request, or None if it is allowed."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
    from airflow.api_fastapi.core_api.security import resolve_user_from_token

    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else None
    token = bearer or request.cookies.get(COOKIE_NAME_JWT_TOKEN)
    try:
        user = await resolve_user_from_token(token)
    except HTTPException:
        return _to_login(request)
    if get_auth_manager().is_authorized_view(access_view=AccessView.DOCS, user=user):
        return None
    return JSONResponse({"detail": "You may not see this page."}, status.HTTP_403_FORBIDDEN)


def _to_login(request: Request) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
        target = quote(request.url.path, safe="/")
        return RedirectResponse(f"/auth/login/?next={target}", status.HTTP_303_SEE_OTHER)
    return JSONResponse(
        {"detail": "Log in to Airflow first."},
        status.HTTP_401_UNAUTHORIZED,
        headers={"WWW-Authenticate": "Bearer"},
    )
