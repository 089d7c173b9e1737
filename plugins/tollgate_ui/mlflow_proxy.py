"""Proxy of MLflow inside Airflow, as MLflow's read-only user.

MLflow's pages use relative addresses, so the proxy rewrites nothing. The browser never gets an
MLflow password, and MLflow never gets an Airflow token.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import httpx
from pydantic import SecretStr
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

_HOP_BY_HOP: Final = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
# Headers that are not forwarded: the Airflow login, and headers with the origin of the browser.
_NOT_SENT: Final = _HOP_BY_HOP | {"host", "authorization", "cookie", "origin", "referer"}
_NOT_RETURNED: Final = _HOP_BY_HOP | {"set-cookie", "www-authenticate"}


@dataclass(frozen=True)
class Upstream:
    """The address of MLflow and the login of its reader."""

    url: str
    username: str
    password: SecretStr


class MLflowProxy:
    """An ASGI application that forwards requests to MLflow."""

    def __init__(self, upstream: Callable[[], Upstream]) -> None:
        """Take `upstream` as a function, so that the login is read at the first request."""
        self._upstream = upstream
        self._client: httpx.AsyncClient | None = None

    def _connect(self) -> httpx.AsyncClient:
        if self._client is None:
            upstream = self._upstream()
            self._client = httpx.AsyncClient(
                base_url=upstream.url,
                auth=(upstream.username, upstream.password.get_secret_value()),
                timeout=httpx.Timeout(60, connect=3),
                trust_env=False,
                follow_redirects=False,
            )
        return self._client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request and stream the response."""
        request = Request(scope, receive)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        response = await self._answer(request, path)
        await response(scope, receive, send)

    async def _answer(self, request: Request, path: str) -> Response:
        client = self._connect()
        passed = client.build_request(
            request.method,
            httpx.URL(path=path, query=request.url.query.encode()),
            headers=[(k, v) for k, v in request.headers.items() if k.lower() not in _NOT_SENT],
            content=request.stream() if _has_body(request) else None,
        )
        try:
            answer = await client.send(passed, stream=True)
        except httpx.TransportError:
            return PlainTextResponse(
                "MLflow does not respond: check it with `make status`, start it with `make up`.",
                status_code=502,
            )
        response = StreamingResponse(
            _raw(answer), status_code=answer.status_code, background=BackgroundTask(answer.aclose)
        )
        response.raw_headers = [
            (name.lower(), value)
            for name, value in answer.headers.raw
            if name.decode().lower() not in _NOT_RETURNED
        ]
        return response


def _has_body(request: Request) -> bool:
    return "content-length" in request.headers or "transfer-encoding" in request.headers


async def _raw(answer: httpx.Response) -> AsyncIterator[bytes]:
    async for chunk in answer.aiter_raw():
        yield chunk
