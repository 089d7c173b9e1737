"""The Iceberg catalog of the lake, opened with the keys of a role."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from contracts.settings import CatalogRole, Settings

if TYPE_CHECKING:
    from pyiceberg.catalog.sql import SqlCatalog

LakeRole = Literal["reader", "processor"]
_CATALOG_ROLE: dict[LakeRole, CatalogRole] = {"reader": "reader", "processor": "writer"}


def open_catalog(settings: Settings, role: LakeRole = "reader") -> SqlCatalog:
    """Open the catalog `lake` with the database login and the S3 key of a role."""
    from pyiceberg.catalog.sql import SqlCatalog

    from lake.store import store_properties

    if settings.s3.endpoint.startswith("http://"):
        # The embedded store sometimes does not read the checksum that Arrow's client appends by
        # default, and then answers the next request of the connection with 400: 12 of 4,800.
        os.putenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")  # not an option of its
    return SqlCatalog(
        "lake",
        uri=settings.catalog.sqlalchemy_uri(_CATALOG_ROLE[role]),
        warehouse=f"s3://{settings.s3.lake_bucket}/warehouse",
        # The tables of the catalog exist already, and the reading role could not create them.
        init_catalog_tables="false",
        **store_properties(settings, role),
    )
