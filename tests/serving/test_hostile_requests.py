"""Hostile requests to each route that reads a body, and to the server: each gets a 4xx."""

import base64
import gzip
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from fastapi.testclient import TestClient

from contracts.settings import HOST, Settings
from serving import bodies
from serving.access.auth import LOGIN, LOGOUT, REFRESH
from tests.serving.listening import listening
from tests.serving.test_app import app_of, client_of

pytestmark = pytest.mark.postgres
_FORMS = {LOGIN: "username", REFRESH: "refresh_token", LOGOUT: "refresh_token"}
_LISTS = ("/api/v1/alerts", "/api/v1/analytics/summary")
_DEEP = 7_000


@pytest.fixture(scope="module")
def settings(postgres: Settings, warehouse: Settings) -> Settings:
    api = postgres.api.model_copy(update={"sign_ins_per_minute": 10**6})
    return postgres.model_copy(update={"warehouse": warehouse.warehouse, "api": api})


@pytest.fixture(scope="module")
def client(settings: Settings) -> TestClient:
    return client_of(settings, "admin")


def written(value: dict[str, Any], field: str, text: str) -> bytes:
    """Return an object as JSON with a text in place of the value of a field."""
    return json.dumps(value | {field: "@"}).replace('"@"', text).encode()


_BODIES: dict[str, tuple[Callable[[dict[str, Any], str], bytes], int | None]] = {
    "twice": (lambda one, field: json.dumps(one).replace("{", f'{{"{field}":0,', 1).encode(), None),
    "NaN": (lambda one, field: written(one, field, "NaN"), 400),
    "infinite": (lambda one, field: written(one, field, "-Infinity"), 400),
    "half of a pair": (lambda one, field: written(one, field, r'"\ud800"'), 400),
    "deep": (lambda one, field: written(one, field, "[" * _DEEP + "]" * _DEEP), None),
    "unclosed": (lambda one, field: f'{{"{field}": '.encode() + b"[" * _DEEP, None),
    "null": (lambda one, field: written(one, field, "null"), 422),
    "wrong type": (lambda one, field: written(one, field, '{"a": []}'), 422),
    "a number with 5,000 digits": (lambda one, field: written(one, field, "9" * 5_000), 422),
    "no UTF-8": (lambda one, field: written(one, field, '"!"').replace(b"!", b"\xff"), 400),
}
"""A body from an example and a field of it, and its status if that is one for all routes."""
_WHOLE: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "a list": (b"[]", 422),
    "a form": (b"transaction_id=1&amount=2", 400),
    "two objects": (b"{}{}", 422),
    "compressed": (gzip.compress(b"{}"), 400),
    "UTF-16": ("{}".encode("utf-16"), 400),
    "multipart": (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--', 400),
}


def examples(client: TestClient) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and an example of each operation that reads JSON."""
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                example = content["application/json"]["examples"]["example 1"]["value"]
                yield method, path.format(username="x", alert_id="x"), example


@pytest.mark.parametrize("kind", _BODIES)
def test_a_hostile_field_is_named_by_each_route(client: TestClient, kind: str) -> None:
    made, status = _BODIES[kind]
    for method, path, example in examples(client):
        field = next(iter(example))
        answer = client.request(method, path, content=made(example, field))
        assert answer.status_code in ((400, 422) if status is None else (status,)), answer.text
        (problem,) = answer.json()["detail"]
        assert problem["field"] == field, path
        assert field in problem["sentence"]
        assert len(problem["sentence"]) < 400


@pytest.mark.parametrize("kind", _WHOLE)
def test_a_body_that_is_no_object_is_refused_by_each_route(client: TestClient, kind: str) -> None:
    body, status = _WHOLE[kind]
    for method, path, _ in examples(client):
        answer = client.request(method, path, content=body)
        assert answer.status_code == status, path
        assert answer.json()["detail"][0]["sentence"]


def test_an_unknown_field_is_named_by_each_route(client: TestClient) -> None:
    for method, path, example in examples(client):
        answer = client.request(method, path, json=example | {"foo\x00": 1})
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["field"].startswith("foo")


@pytest.mark.parametrize("path", _FORMS)
@pytest.mark.parametrize(
    ("form", "named"),
    [
        (b"{}", True),
        (b"%s=", True),
        (b"%s=a&%s=b&password=x", True),
        (b"%s=\xff&password=x", False),
        (b"%s=%%ff&password=x", False),
        (b"a=1&" * 11, False),
    ],
)
def test_a_hostile_form_is_refused(client: TestClient, path: str, form: bytes, named: bool) -> None:
    field = _FORMS[path]
    answer = client.post(path, content=form.replace(b"%s", field.encode()).replace(b"%%", b"%"))
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["field"] == (field if named else None)


@pytest.mark.parametrize("path", _LISTS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("foo", "1"),
        ("limit", "1e3"),
        ("limit", "NaN"),
        ("source_system", "a\x00"),
        ("source_system", "x" * 50_000),
        ("after", base64.urlsafe_b64encode(b"[" * _DEEP).decode()),
        ("after", base64.urlsafe_b64encode(b'["\\ud800", "a", "b"]').decode()),
        ("after", base64.urlsafe_b64encode(b'["a\\u0000", "a", "b"]').decode()),
    ],
)
def test_a_hostile_parameter_is_named(client: TestClient, path: str, name: str, value: str) -> None:
    answer = client.get(path, params={name: value})
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["field"] == name
    assert len(problem["sentence"]) < 400


@pytest.mark.parametrize("name", ["\x00", "../admin", "é", "x" * 9_000])
def test_a_hostile_path_finds_nothing(client: TestClient, name: str) -> None:
    from urllib.parse import quote

    user, case = f"/api/v1/users/{quote(name)}", f"/api/v1/alerts/{quote(name)}/claim"
    assert client.patch(user, json={"is_disabled": True}).status_code == 404
    assert client.post(case).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE", "HEAD"])
def test_another_method_is_refused(client: TestClient, method: str) -> None:
    override = {"X-HTTP-Method-Override": "POST"}
    assert client.request(method, "/detect", headers=override).status_code == 405


@pytest.fixture
def port(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of an API that waits half a second for a body."""
    monkeypatch.setattr(bodies, "MOST_SECONDS", 0.5)
    with listening(app_of(settings)[0]) as port:
        yield port


def statuses(port: int, message: bytes) -> list[int]:
    """Send bytes, and return the statuses of the answers until the server closes."""
    with socket.create_connection((HOST, port), timeout=10) as connection:
        connection.sendall(message)
        received = b""
        with suppress(ConnectionResetError):
            while data := connection.recv(65_536):
                received += data
    lines = [line for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return [int(line.split()[1]) for line in lines]


_LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\n"
_CHUNKED = _LOGIN + b"Transfer-Encoding: chunked\r\n\r\n"
_MESSAGES: dict[str, tuple[int, bytes]] = {
    "a body that stops": (408, _LOGIN + b"Content-Length: 9\r\n\r\nuser"),
    "a body of a petabyte": (408, _LOGIN + b"Content-Length: 999999999999999\r\n\r\nuser"),
    "a chunk and no end": (408, _CHUNKED + b"1\r\nx\r\n"),
    "chunks without end": (413, _CHUNKED + (b"400\r\n" + b"x" * 1024 + b"\r\n") * 17),
    "a length that is no number": (400, _LOGIN + b"Content-Length: -1\r\n\r\n"),
    "a chunk without a length": (400, _CHUNKED + b"zz\r\n"),
    "two lengths": (400, _LOGIN + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"),
    "length and chunks": (400, _CHUNKED.replace(b"Tr", b"Content-Length: 4\r\nTr")),
    "NUL in a header": (400, _LOGIN + b"X: a\x00b\r\n\r\n"),
    "a query of 200,000 bytes": (400, b"GET /health?a=" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n"),
    "an unknown method": (400, b"DETECT /detect HTTP/1.1\r\nHost: a\r\n\r\n"),
    "no HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"),
}


@pytest.mark.parametrize("kind", _MESSAGES)
def test_a_hostile_message_is_refused_and_its_connection_closed(port: int, kind: str) -> None:
    status, message = _MESSAGES[kind]
    assert statuses(port, message) == [status]


def test_a_caller_who_leaves_within_a_body_causes_no_error(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection((HOST, port), timeout=10) as connection:
        connection.sendall(_CHUNKED + b"1\r\nx\r\n")
    assert statuses(port, _LOGIN + b"Connection: close\r\n\r\n") == [422]
    assert not [one for one in caplog.records if one.exc_info]
