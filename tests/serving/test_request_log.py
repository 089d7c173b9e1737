"""The log of the API has a line for each request, and no personal data."""

import json
import logging
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from contracts.settings import HOST, REPO, Settings
from embedded.places import python
from embedded.services.common import environment, http_ok
from serving import docs_page
from serving.access.auth import LOGIN, LOGOUT, PASSWORD, REFRESH
from serving.access.user_routes import USERS
from serving.access.users import ensure_admin
from serving.case_routes import ALERTS
from serving.feedback import FEEDBACK
from serving.request_log import REQUEST_ID, JsonFormatter, RequestLog
from tests.free_port import free_port

SECRETS = {
    "customer_id": "customer-4711-of-the-log",
    "card_number": "4929111122223333",
    "merchant_id": "Mr Smith's shop",
    "device_id": "device-4711-of-the-log",
    "ip": "198.51.100.77",
    "location": "17 Secret Road",
}
PAYMENT: dict[str, Any] = docs_page.WHOLE | SECRETS | {"timestamp": "2026-10-01T12:00:00Z"}
NEW_USER = {"username": "clerk", "password": "a password of the log", "role": "analyst"}


def app_that_fails() -> FastAPI:
    app = FastAPI()
    app.add_middleware(RequestLog)

    @app.get("/fail/{name}")
    def fail(name: str) -> None:
        raise ValueError(name)

    return app


def test_a_request_that_fails_has_a_line_with_the_route(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "serving.request_log"):
        TestClient(app_that_fails(), raise_server_exceptions=False).get("/fail/4929111122223333")
    (record,) = (one for one in caplog.records if one.name == "serving.request_log")
    line = json.loads(JsonFormatter().format(record))
    assert (line["status"], line["route"], line["caller"]) == (500, "/fail/{name}", None)
    assert "4929111122223333" not in str(line)


def test_an_exception_is_its_type_and_places_without_its_message() -> None:
    try:
        int("4929111122223333x")
    except ValueError as error:
        found = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", None, found)
    line = JsonFormatter().format(record)
    assert json.loads(line)["exception"] == "ValueError"
    assert "test_request_log.py" in line
    assert "4929111122223333" not in line


@contextmanager
def served(settings: Settings, log: Path) -> Iterator[httpx.Client]:
    """Run the API as a process that writes what it logs to a file."""
    port = free_port()
    address = f"http://{HOST}:{port}"
    variables = environment(settings, {"TOLLGATE_WAREHOUSE__DATABASE": settings.warehouse.database})
    argv = [python(), "-m", "serving", "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(argv, cwd=REPO, env=variables, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 90
        while http_ok(f"{address}/health/live") is None:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        with httpx.Client(base_url=address, timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.postgres
def test_no_personal_data_and_no_secret_is_logged(
    postgres: Settings, warehouse: Settings, tmp_path: Path
) -> None:
    settings = postgres.model_copy(update={"warehouse": warehouse.warehouse})
    ensure_admin(settings)
    password = settings.api.password.get_secret_value()
    log = tmp_path / "api.log"
    with served(settings, log) as client:
        form = {"username": "admin", "password": password}
        tokens = client.post(LOGIN, data=form).json()
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        for change in ({}, {"amount": 1}, {"amount": -1}, {"customer_id": "a\x00" * 9}, {"x": 1}):
            decided = client.post("/detect", json=PAYMENT | change)
            assert decided.headers[REQUEST_ID]
        client.post("/api/v1/detect/batch", json={"payments": [PAYMENT, PAYMENT | {"amount": -1}]})
        client.post("/detect", content=json.dumps(PAYMENT).encode()[:-9])
        client.post("/detect", json=PAYMENT, headers={"Authorization": "Bearer 4929111122223333"})
        alert = client.post(
            "/detect", json=PAYMENT | {"transaction_id": "high", "amount": 12_000.5}
        ).json()["request_id"]
        client.get(ALERTS, params={"status": SECRETS["card_number"]})
        client.get(f"/api/v1/analytics/{SECRETS['card_number']}")
        client.get("/api/v1/analytics/summary", params={"source_system": SECRETS["customer_id"]})
        client.post(f"{ALERTS}/{alert}/claim")
        client.post(f"{ALERTS}/{SECRETS['card_number']}/claim")
        note = {"outcome": "false_alarm", "note": SECRETS["location"]}
        assert client.post(f"{ALERTS}/{alert}/decide", json=note).status_code == 201
        given = {"source_system": "sparkov", "transaction_id": SECRETS["card_number"], **note}
        client.post(FEEDBACK, json=given)
        assert client.post(USERS, json=NEW_USER).status_code == 201
        client.patch(f"{USERS}/{SECRETS['card_number']}", json={"is_disabled": True})
        wrong = {"username": SECRETS["card_number"], "password": NEW_USER["password"]}
        client.post(LOGIN, data=wrong)
        client.post(PASSWORD, json={"password": password, "new_password": NEW_USER["password"]})
        following = client.post(REFRESH, data={"refresh_token": tokens["refresh_token"]}).json()
        client.post(LOGOUT, data={"refresh_token": following["refresh_token"]})
        for path in ("/health", "/metrics", "/docs", "/openapi.json"):
            client.get(path)
    written = log.read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    requests = [one for one in lines if one["event"] == "request"]
    assert {one["status"] for one in requests} >= {200, 201, 204, 400, 401, 404, 409, 422}
    assert {"/detect", ALERTS + "/{alert_id}/claim", LOGIN, None} <= {
        one["route"] for one in requests
    }
    assert len({one["request_id"] for one in requests}) > len(requests) / 2
    assert {one["caller"] for one in requests} == {"admin", None}
    hidden = [*SECRETS.values(), password, NEW_USER["password"], *tokens.values()]
    hidden = [str(one) for one in [*hidden, *following.values()] if one not in ("bearer", 900)]
    assert [value for value in hidden if value in written] == []
