"""Landing of messages of a stream in Raw: an object a business date, partition and range."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sources.declaration import Source
from sources.errors import StreamBatchError
from sources.inspect import inspect_messages
from sources.manifest import RawObject
from sources.store import create, explained


def line(message: bytes, *, is_json: bool) -> bytes:
    r"""Return a message as a line of an object; its line breaks become blanks.

    A message that is no JSON object becomes a JSON text of its bytes in base64: it may have any
    bytes, and so it stays one line that no later stage can take for a payment.

    >>> line(b'{"amount":\\n1}', is_json=True)
    b'{"amount": 1}'
    >>> line(b"{\\n", is_json=False)
    b'"ewo="'
    """
    return message.replace(b"\n", b" ") if is_json else b'"%b"' % b64encode(message)


def land_messages(
    s3: Any,
    bucket: str,
    source: Source,
    day: date,
    name: str,
    lines: Sequence[bytes],
    arrived: datetime,
) -> RawObject:
    """Create the object of these messages unless it exists; `arrived` is when the newest arrived.

    Raises:
        StreamBatchError: when the object exists with other messages.
        StoreRefusedError: when the key is wrong.
        StoreUnreachableError: when the store does not respond.
    """
    body = b"".join(b"%b\n" % one for one in lines)
    finding = inspect_messages(body, source)
    key = f"{source.name}/stream/{day}/{name}.jsonl"
    with explained(bucket):
        is_new = create(s3, bucket, key, body, Metadata={"sha256": finding.sha256})
        if not is_new and s3.head_object(Bucket=bucket, Key=key)["Metadata"] != {
            "sha256": finding.sha256
        }:
            raise StreamBatchError(f"{key} has landed before with other messages.")
    return finding.landed_as(key, f"{day}/{name}.jsonl", arrived)
