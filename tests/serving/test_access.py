"""Who may do what: names, passwords, tokens and roles."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import psycopg
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from contracts.settings import Settings
from serving import docs_page
from serving.access.auth import LOGIN
from serving.access.users import Caller, ensure_admin
from tests.serving.test_app import client_of, tokens_of

pytestmark = pytest.mark.postgres
SERVICE = {"username": "payments", "password": "correct horse battery", "role": "service"}


@pytest.fixture(scope="module")
def settings(postgres: Settings, warehouse: Settings) -> Settings:
    """The warehouse with the admin of the test platform."""
    own = postgres.model_copy(update={"warehouse": warehouse.warehouse})
    ensure_admin(own)
    ensure_admin(own)  # again, on top of itself
    return own


@pytest.fixture(scope="module")
def anyone(settings: Settings) -> TestClient:
    return client_of(settings, role=None)


def signed_in(client: TestClient, username: str, password: str) -> dict[str, str]:
    answer = client.post(LOGIN, data={"username": username, "password": password})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 900)
    return {"Authorization": f"Bearer {body['access_token']}"}


def detected(client: TestClient, headers: dict[str, str]) -> int:
    payment = docs_page.WHOLE | {"timestamp": "2026-10-01T12:00:00Z"}
    return client.post("/detect", json=payment, headers=headers).status_code


def test_the_admin_adds_a_service_which_has_payments_decided(
    settings: Settings, anyone: TestClient
) -> None:
    password = settings.api.password.get_secret_value()
    admin = signed_in(anyone, settings.api.username, password)
    added = anyone.post("/api/v1/users", json=SERVICE, headers=admin)
    assert added.json() == {"username": "payments", "role": "service"}
    assert anyone.post("/api/v1/users", json=SERVICE, headers=admin).status_code == 409
    service = signed_in(anyone, SERVICE["username"], SERVICE["password"])
    assert (detected(anyone, service), detected(anyone, admin)) == (200, 200)
    refused = anyone.post("/api/v1/users", json=SERVICE | {"username": "x"}, headers=service)
    assert refused.status_code == 403
    with psycopg.connect(settings.warehouse.dsn("api")) as connection:
        hashes = connection.execute("select password_hash from serving.users").fetchall()
    assert all(one.startswith("$argon2id$") and password not in one for (one,) in hashes)


def test_a_changed_password_of_the_admin_replaces_the_old_one(
    settings: Settings, anyone: TestClient
) -> None:
    new = settings.api.model_copy(update={"admin_password": SecretStr("another password")})
    ensure_admin(settings.model_copy(update={"api": new}))
    old = {"username": "admin", "password": settings.api.password.get_secret_value()}
    assert anyone.post(LOGIN, data=old).status_code == 401
    signed_in(anyone, "admin", "another password")
    ensure_admin(settings)


@pytest.mark.parametrize(
    "form",
    [
        {"username": "admin", "password": "wrong"},
        {"username": "nobody", "password": "wrong"},
        {"username": "admin\x00", "password": "x" * 9_000},
        {"username": "' or 1=1 --", "password": "x"},
    ],
)
def test_a_wrong_name_or_password_gets_one_answer(anyone: TestClient, form: dict[str, str]) -> None:
    answer = anyone.post(LOGIN, data=form)
    assert answer.status_code == 401
    assert answer.json()["detail"].startswith("Name or password is wrong. After 5 wrong passwords")


def test_a_form_without_a_field_names_it(anyone: TestClient) -> None:
    answer = anyone.post(LOGIN, data={"username": "admin"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["field"] == "password"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": "Ünal"}, "username"),
        ({"password": "short"}, "password"),
        ({"role": "root"}, "role"),
        ({"role": 1}, "role"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_wrong_field_of_a_user_is_named(
    settings: Settings, change: dict[str, Any], field: str
) -> None:
    answer = client_of(settings, "admin").post("/api/v1/users", json=SERVICE | change)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["detail"]] == [field]


def token(settings: Settings, **change: Any) -> str:
    """Return a token that a forger makes, with the right key unless told otherwise."""
    now = datetime.now(UTC)
    (known,) = json.loads(settings.signing_keys_file.read_text())["keys"]
    key = change.pop("key", base64.urlsafe_b64decode(known["k"] + "="))
    headers = {"kid": change.pop("kid", known["kid"])}
    algorithm = change.pop("algorithm", "HS256")
    claims = {"iss": "tollgate-api", "sub": "x", "role": "service", "iat": now}
    claims |= {"exp": now + timedelta(minutes=5), **change}
    written = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(written, key, algorithm, headers)


def test_a_token_of_the_api_is_accepted(settings: Settings, anyone: TestClient) -> None:
    assert detected(anyone, {"Authorization": f"Bearer {token(settings)}"}) == 200


@pytest.mark.parametrize(
    "change",
    [
        {"exp": datetime.now(UTC) - timedelta(seconds=1)},
        {"exp": None},
        {"role": None},
        {"role": "root"},
        {"iss": "somebody else"},
        {"iat": datetime.now(UTC) + timedelta(hours=1)},
        {"key": "k" * 32},
        {"kid": "another key"},
        {"kid": "../api_admin"},
        {"kid": ""},
        {"key": None, "algorithm": "none"},
        {"algorithm": "HS384"},
    ],
)
def test_an_expired_forged_or_incomplete_token_is_refused(
    settings: Settings, anyone: TestClient, change: dict[str, Any]
) -> None:
    bearer = {"Authorization": f"Bearer {token(settings, **change)}"}
    payment = docs_page.WHOLE
    answer = anyone.post("/detect", json=payment, headers=bearer)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["detail"].endswith("sign in again.")


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic YTpi"}]
)
def test_without_a_token_nothing_is_decided(anyone: TestClient, headers: dict[str, str]) -> None:
    assert detected(anyone, headers) == 401


def test_an_analyst_has_no_payment_decided(settings: Settings) -> None:
    client = client_of(settings, "analyst")
    assert detected(client, {}) == 403


def test_without_postgres_nobody_signs_in_and_a_token_is_still_valid(settings: Settings) -> None:
    nowhere = settings.warehouse.model_copy(update={"port": 1})
    client = client_of(settings.model_copy(update={"warehouse": nowhere}))
    form = {"username": "admin", "password": "x"}
    assert client.post(LOGIN, data=form).status_code == 503
    assert client.post("/api/v1/users", json=SERVICE).status_code == 403
    admin = client_of(settings.model_copy(update={"warehouse": nowhere}), "admin")
    assert admin.post("/api/v1/users", json=SERVICE).status_code == 503
    assert detected(client, {}) == 200


def test_a_token_is_of_its_user(settings: Settings) -> None:
    tokens = tokens_of(settings)
    caller = Caller("payments", "service")
    assert tokens.caller(tokens.issue(caller)) == caller
