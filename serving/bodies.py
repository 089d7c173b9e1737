"""Bodies of requests, which are refused before they are read whole when they are too large."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import Depends, Request

from serving.request import LARGEST_BODY, BadRequestError, Mistake, too_large

MOST_PAYMENTS: Final = 500


def _body_of(payments: int) -> Any:
    """Return the dependency that gives the body of a request with up to `payments`."""

    async def limited(request: Request) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > payments * LARGEST_BODY:
                raise too_large(payments)
        return bytes(body)

    return Depends(limited)


Body = Annotated[bytes, _body_of(1)]
BatchBody = Annotated[bytes, _body_of(MOST_PAYMENTS)]


def form_fields(body: bytes, *names: str) -> list[str]:
    """Return the first value of each field of a form.

    Raises:
        BadRequestError: naming the first field that is missing, or when there are too many fields.
    """
    try:
        form = parse_qs(body.decode(errors="replace"), max_num_fields=10)
    except ValueError as error:
        sentence = "The form has more than 10 fields. Send only those of the documentation."
        raise BadRequestError([Mistake(None, sentence)]) from error
    for name in names:
        if name not in form:
            raise BadRequestError([Mistake(name, f"{name}: the form field is missing.")])
    return [form[name][0] for name in names]
