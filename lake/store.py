"""The object store of the lake, for pyiceberg and Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.io import (
    S3_ACCESS_KEY_ID,
    S3_CONNECT_TIMEOUT,
    S3_ENDPOINT,
    S3_REGION,
    S3_REQUEST_TIMEOUT,
    S3_SECRET_ACCESS_KEY,
)
from pyiceberg.io.pyarrow import PyArrowFileIO

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

    from contracts.settings import S3Role, Settings


def store_properties(settings: Settings, role: S3Role) -> dict[str, str]:
    """Return the address of the store and the key of a role, as Iceberg properties.

    Timeouts are short: requests to an unavailable store fail within seconds.
    """
    access_key, secret_key = settings.s3.keys(role)
    return {
        S3_ENDPOINT: settings.s3.endpoint,
        S3_REGION: settings.s3.region,
        S3_ACCESS_KEY_ID: access_key,
        S3_SECRET_ACCESS_KEY: secret_key.get_secret_value(),
        S3_CONNECT_TIMEOUT: "5",
        S3_REQUEST_TIMEOUT: "30",
    }


def open_store(settings: Settings, role: S3Role) -> FileSystem:
    """Open the store as an Arrow file system with the key of a role."""
    return PyArrowFileIO(store_properties(settings, role)).fs_by_scheme("s3", None)
