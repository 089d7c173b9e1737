"""Serve a folder of generated pages, with a placeholder while it is empty."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_NOT_YET = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Not there yet</title>
<body style="font: 16px/1.5 system-ui, sans-serif; max-width: 36em; margin: 20vh auto; color: #445">
<h1 style="font-weight: 500">Not there yet</h1><p>{when}</p></body></html>"""


class Pages(StaticFiles):
    """Static pages of a folder that may not exist yet."""

    def __init__(self, folder: Path, when: str) -> None:
        """Serve `folder`; `when` is the sentence of the placeholder."""
        super().__init__(directory=folder, html=True, check_dir=False)
        self._folder = folder
        self._when = when

    async def check_config(self) -> None:
        """Accept a folder that does not exist yet."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a page, or the placeholder if the first page is missing."""
        if path in {".", "", "index.html"} and not (self._folder / "index.html").exists():
            return HTMLResponse(_NOT_YET.format(when=self._when), status_code=404)
        try:
            return await super().get_response(path, scope)
        except HTTPException as problem:
            if problem.status_code != 404:
                raise
            return HTMLResponse(
                _NOT_YET.format(when="This page does not exist (any more)."), status_code=404
            )
