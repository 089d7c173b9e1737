"""Import of the declared dashboards into Superset, through its API."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import yaml

from bi.to_superset import DATABASE_FILE, FOLDER, MASK
from contracts.settings import REPO, Settings

_SECONDS: Final = 120.0


class PublishError(RuntimeError):
    """Raised when Superset is unavailable or rejects the dashboards."""


@contextmanager
def client(settings: Settings) -> Iterator[httpx.Client]:
    """Yield a client that is logged in as admin.

    Raises:
        PublishError: when Superset is unavailable or refuses the login.
    """
    superset = settings.superset
    login = {
        "username": superset.username,
        "password": superset.password.get_secret_value(),
        "provider": "db",
    }
    with httpx.Client(base_url=superset.url, timeout=_SECONDS) as session:
        try:
            answer = _checked(session.post("/api/v1/security/login", json=login), "the login")
            session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            answer = _checked(session.get("/api/v1/security/csrf_token/"), "a token for changes")
        except httpx.TransportError as problem:
            raise PublishError(
                f"Superset does not answer at {superset.url} ({problem}): run `make bi`."
            ) from problem
        session.headers["X-CSRFToken"] = answer.json()["result"]
        session.headers["Referer"] = superset.url
        yield session


def _checked(answer: httpx.Response, what: str) -> httpx.Response:
    if answer.is_success:
        return answer
    raise PublishError(f"Superset refused {what} ({answer.status_code}): {answer.text[:600]}")


def _connection(settings: Settings) -> str:
    """Return the database file with the address of this platform, without the password."""
    warehouse = settings.warehouse
    content = yaml.safe_load((REPO / DATABASE_FILE).read_text())
    content["sqlalchemy_uri"] = (
        f"postgresql+psycopg2://{warehouse.user('reader')}:{MASK}"
        f"@{warehouse.host}:{warehouse.port}/{warehouse.database}"
    )
    return str(yaml.safe_dump(content))


def bundle(settings: Settings) -> bytes:
    """Return the files of `bi/superset` as a ZIP archive for the import."""
    folder = REPO / FOLDER
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.yaml")):
            path = file.relative_to(REPO)
            content = _connection(settings) if path == DATABASE_FILE else file.read_text()
            archive.writestr(f"tollgate/{file.relative_to(folder).as_posix()}", content)
    return packed.getvalue()


def publish(settings: Settings) -> list[dict[str, Any]]:
    """Import every dashboard, replacing existing ones; return Superset's list of dashboards.

    Raises:
        PublishError: when Superset is unavailable or rejects the import.
    """
    password = settings.warehouse.password("reader").get_secret_value()
    key = DATABASE_FILE.relative_to(FOLDER).as_posix()
    with client(settings) as session:
        _checked(
            session.post(
                "/api/v1/assets/import/",
                files={"bundle": ("tollgate.zip", bundle(settings), "application/zip")},
                data={"passwords": json.dumps({key: password})},
            ),
            "the dashboards",
        )
        listed = _checked(session.get("/api/v1/dashboard/"), "its list of dashboards")
    return list(listed.json()["result"])
