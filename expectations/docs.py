"""Data docs: HTML pages of the gate results, rendered off the critical path.

They replace the site builder of Great Expectations, whose pages load scripts and styles from other
servers. This fails offline, and such scripts must not run in pages of Airflow's origin.
"""

import json
import mimetypes
from pathlib import Path
from typing import Any, Final

from expectations.pages.index import gate_page, gates_of, index_page
from expectations.pages.markup import STYLE
from expectations.pages.table import table_page
from expectations.store import PAGES, RESULTS, stored_results, write_whole

_LASTING: Final = "validations"
"""Folder of the pages that never change after they are written."""


def update_data_docs(state_dir: Path) -> Path:
    """Render the missing pages and the index of all pages; return the index.

    The cost depends on the number of new results, because the page of a stored result never
    changes.
    """
    results, pages = state_dir / RESULTS, state_dir / PAGES
    gate_results = stored_results(state_dir)
    for gate_result in gate_results:
        for verdict in gate_result.tables:
            page = pages / verdict.page
            if not page.exists():
                document = json.loads((results / verdict.results).read_text(encoding="utf-8"))
                write_whole(page, table_page(gate_result, verdict, document))
    write_whole(pages / STYLE.name, STYLE.read_text(encoding="utf-8"))
    for gate in gates_of(gate_results):
        write_whole(pages / f"{gate}.html", gate_page(gate, gate_results))
    index = pages / "index.html"
    write_whole(index, index_page(gate_results))
    return index


def upload(state_dir: Path, s3: Any, bucket: str, prefix: str = "gx/") -> int:
    """Copy new and changeable pages to S3; return the number of copied pages.

    The index is copied last, so that it never links to a missing page.
    """
    pages = state_dir / PAGES
    listing = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=f"{prefix}{_LASTING}/"
    )
    uploaded = {item["Key"] for part in listing for item in part.get("Contents", ())}
    files = [f for f in sorted(pages.rglob("*")) if f.is_file() and not f.name.startswith(".")]
    sent = 0
    for file in sorted(files, key=lambda f: f.name == "index.html"):
        key = f"{prefix}{file.relative_to(pages).as_posix()}"
        if key in uploaded:
            continue
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        s3.upload_file(str(file), bucket, key, ExtraArgs={"ContentType": kind})
        sent += 1
    return sent
