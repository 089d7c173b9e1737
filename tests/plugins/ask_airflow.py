"""Ask Airflow's real web application, with the plugin and its login, as browsers would.

Started by test_pages.py with Airflow's home in a temporary folder; prints the answers as JSON to
standard error, since Airflow's own log takes standard output.
"""

import json
import sys
from typing import Any

from airflow import settings
from airflow.api_fastapi.app import create_app
from airflow.models.revoked_token import RevokedToken
from starlette.testclient import TestClient

# The one table that checking a login reads.
RevokedToken.__table__.create(settings.engine, checkfirst=True)
client = TestClient(create_app("core"), raise_server_exceptions=False)
PAGES = ("/tollgate/dbt/", "/tollgate/gx/index.html", "/tollgate/gx/secret.txt", "/mlflow/")
HTML = {"Accept": "text/html,*/*"}


def ask(path: str, **options: Any) -> dict[str, Any]:
    """Return what matters of an answer."""
    answer = client.get(path, follow_redirects=False, **options)
    return {
        "status": answer.status_code,
        "headers": {key.lower(): value for key, value in answer.headers.items()},
        "text": answer.text,
    }


login = {"username": "admin", "password": sys.argv[1]}
token = client.post("/auth/token", json=login).json()["access_token"]
client.cookies.clear()
bearer = {"Authorization": f"Bearer {token}"}
found = {
    "nobody": {page: ask(page) for page in PAGES},
    "nobody_with_browser": {page: ask(page, headers=HTML) for page in PAGES},
    "forged": {page: ask(page, headers={"Authorization": "Bearer x.y.z"}) for page in PAGES},
    "bearer": {page: ask(page, headers=bearer) for page in PAGES},
    "plugins": client.get("/api/v2/plugins", headers=bearer).json(),
    "import_errors": client.get("/api/v2/plugins/importErrors", headers=bearer).json(),
    "outside": ask("/tollgate/gx/..%2f..%2fsecrets%2fkey", headers=bearer),
    "openapi": ask("/tollgate/openapi.json", headers=bearer),
}
client.cookies.set("_token", token)
found["cookie"] = {page: ask(page) for page in PAGES}
try:
    with client.websocket_connect("/tollgate/gx/"):
        found["websocket"] = "open"
except Exception as refused:
    found["websocket"] = type(refused).__name__
json.dump(found, sys.stderr)
