"""The log of the API: one line of JSON a request, without its path, fields or answer."""

from __future__ import annotations

import logging
import time
import traceback
import uuid
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID: Final = "X-Request-ID"
_log: Final = logging.getLogger(__name__)


class RequestLog:
    """Writes a line for each request, and gives each answer an identifier.

    An answer with a decision has the identifier of the decision. The route is the template of the
    path, null if no route has it, and the caller is a user of the API, null without a valid token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        answered: dict[str, Any] = {"request_id": str(uuid.uuid4()), "status": 500}

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault(REQUEST_ID, answered["request_id"])
                answered.update(request_id=headers[REQUEST_ID], status=message["status"])
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            route = scope.get("route")
            about = {
                **answered,
                "method": scope["method"],
                "route": None if route is None else route.path,
                "caller": scope.get("state", {}).get("caller"),
                "ms": round((time.perf_counter() - began) * 1_000, 3),
            }
            _log.info("request", extra={"about": about})


class JsonFormatter(logging.Formatter):
    """Writes a record as a line of JSON.

    An exception is written as its type and the places that it passed: its message may have a value
    of the request.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info and record.exc_info[0]:
            frames = traceback.extract_tb(record.exc_info[2])
            line["exception"] = record.exc_info[0].__name__
            line["places"] = [f"{one.filename}:{one.lineno} {one.name}" for one in frames]
        return msgspec.json.encode(line).decode()


def configure() -> None:
    """Write what this process logs from level INFO on to the standard error, as lines of JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
