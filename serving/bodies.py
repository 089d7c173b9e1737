"""Bodies of requests, which are refused before they are read whole when they are too large."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from serving.request import LARGEST_BODY, BadRequestError, Mistake, too_large

MOST_PAYMENTS: Final = 500
MOST_SECONDS: Final = 10.0
"""Time for a body to arrive. One that never ends would keep its connection for ever."""


def _body_of(payments: int) -> Any:
    """Return the dependency that gives the body of a request with up to `payments`."""

    async def limited(request: Request) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(MOST_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > payments * LARGEST_BODY:
                        raise too_large(payments)
        except TimeoutError as error:
            sentence = f"The body did not end within {MOST_SECONDS:.0f} seconds. Send it at once."
            raise BadRequestError([Mistake(None, sentence)], 408) from error
        except ClientDisconnect as error:
            raise BadRequestError([Mistake(None, "The body broke off.")], 400) from error
        return bytes(body)

    return Depends(limited)


Body = Annotated[bytes, _body_of(1)]
BatchBody = Annotated[bytes, _body_of(MOST_PAYMENTS)]


def form_fields(body: bytes, *names: str) -> list[str]:
    """Return the value of each field of a form.

    Raises:
        BadRequestError: naming the first field that is missing or given twice; or when the form is
            not UTF-8 or has too many fields.
    """
    try:
        form = parse_qs(body.decode(), max_num_fields=10, errors="strict")
    except UnicodeDecodeError as error:
        raise BadRequestError([Mistake(None, "The form has a byte that is not UTF-8.")]) from error
    except ValueError as error:
        sentence = "The form has more than 10 fields. Send only those of the documentation."
        raise BadRequestError([Mistake(None, sentence)]) from error
    for name in names:
        if name not in form:
            raise BadRequestError([Mistake(name, f"{name}: the form field is missing.")])
        if len(form[name]) > 1:
            raise BadRequestError([Mistake(name, f"{name}: the form has the field twice.")])
    return [form[name][0] for name in names]
