"""Render the kept validation results as Great Expectations' data docs, off the critical path."""

import mimetypes
from pathlib import Path
from typing import Any, Final

from expectations.run import new_context
from expectations.store import PAGES, RESULTS

_SITE: Final = "gates"


def update_data_docs(state_dir: Path) -> Path:
    """Render the pages that are missing and the index over all of them; return the index.

    Cost follows the results that are new: a page of a kept result never changes.
    """
    results, pages = state_dir / RESULTS, state_dir / PAGES
    results.mkdir(parents=True, exist_ok=True)
    pages.mkdir(parents=True, exist_ok=True)
    context = new_context()
    context.add_store(
        _SITE,
        {
            "class_name": "ValidationResultsStore",
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(results),
            },
        },
    )
    builder = _site_builder(context, pages)
    section = builder.site_section_builders["validations"]
    missing = [
        key
        for key in context.stores[_SITE].list_keys()
        if not (pages / "validations" / Path(*key.to_tuple())).with_suffix(".html").exists()
    ]
    if missing:
        section.build(resource_identifiers=missing)
    builder.target_store.copy_static_assets()
    builder.site_index_builder.build(build_index=True)
    return pages / "index.html"


def _site_builder(context: Any, pages: Path) -> Any:
    from great_expectations.render.renderer.site_builder import SiteBuilder

    return SiteBuilder(
        context,
        store_backend={
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(pages),
        },
        site_name=_SITE,
        show_how_to_buttons=False,
        site_section_builders={
            "expectations": "None",
            "profiling": "None",
            "validations": {
                "class_name": "DefaultSiteSectionBuilder",
                "source_store_name": _SITE,
                "renderer": {"class_name": "ValidationResultsPageRenderer"},
            },
        },
    )


def upload(state_dir: Path, s3: Any, bucket: str, prefix: str = "gx/") -> int:
    """Copy to S3 the pages that are not there yet, and the index; return how many were sent."""
    pages = state_dir / PAGES
    listing = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    there = {held["Key"]: held["Size"] for page in listing for held in page.get("Contents", ())}
    sent = 0
    for file in sorted(path for path in pages.rglob("*") if path.is_file()):
        key = f"{prefix}{file.relative_to(pages).as_posix()}"
        if file.name != "index.html" and there.get(key) == file.stat().st_size:
            continue
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        s3.upload_file(str(file), bucket, key, ExtraArgs={"ContentType": kind})
        sent += 1
    return sent
