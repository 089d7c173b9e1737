"""The object store under the lake, as Arrow reaches it: a small file goes up in one request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from pyiceberg.io import S3_ACCESS_KEY_ID, S3_ENDPOINT, S3_REGION, S3_SECRET_ACCESS_KEY
from pyiceberg.io.pyarrow import PyArrowFileIO

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem, S3FileSystem

    from contracts.settings import S3Role, Settings

_CHECKSUMS: Final = "AWS_REQUEST_CHECKSUM_CALCULATION"


def store_properties(settings: Settings, role: S3Role) -> dict[str, str]:
    """Return the store's address and the key of a role, under Iceberg's names."""
    access_key, secret_key = settings.s3.keys(role)
    return {
        S3_ENDPOINT: settings.s3.endpoint,
        S3_REGION: settings.s3.region,
        S3_ACCESS_KEY_ID: access_key,
        S3_SECRET_ACCESS_KEY: secret_key.get_secret_value(),
    }


def open_store(properties: dict[str, Any]) -> S3FileSystem:
    """Open the store; it fails within seconds where nothing answers."""
    if properties[S3_ENDPOINT].startswith("http://"):
        # The checksum that the client appends by default stays unread on the embedded store's
        # connection now and then, and the next request is answered by 400: 12 of 4,800 were.
        os.putenv(_CHECKSUMS, "when_required")  # the only way to tell the client
    from pyarrow.fs import S3FileSystem

    return S3FileSystem(
        endpoint_override=properties[S3_ENDPOINT],
        region=properties[S3_REGION],
        access_key=properties[S3_ACCESS_KEY_ID],
        secret_key=properties[S3_SECRET_ACCESS_KEY],
        # Else each file is an upload of parts: three requests.
        allow_delayed_open=True,
        connect_timeout=5,
        request_timeout=30,
    )


class LakeFileIO(PyArrowFileIO):
    """What pyiceberg reads and writes the lake's files by."""

    def _initialize_s3_fs(self, netloc: str | None) -> FileSystem:
        return open_store(self.properties)
