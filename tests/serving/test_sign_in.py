"""Sessions, lock-out, passwords and the list of users, on a real Postgres."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
import pytest
from fastapi.testclient import TestClient

from contracts.settings import Settings
from serving.access.auth import LOGIN, LOGOUT, PASSWORD, REFRESH
from serving.access.refresh_tokens import RefreshTokens
from serving.access.user_routes import USERS
from serving.access.users import Caller, Users
from serving.database import Database
from tests.serving.test_app import client_of, tokens_of

pytestmark = pytest.mark.postgres
SECRET = "correct horse battery"


@pytest.fixture(scope="module")
def settings(postgres: Settings, warehouse: Settings) -> Settings:
    return postgres.model_copy(update={"warehouse": warehouse.warehouse})


@pytest.fixture(scope="module")
def client(settings: Settings) -> TestClient:
    return client_of(settings, role=None)


@pytest.fixture(scope="module")
def other_worker(settings: Settings) -> TestClient:
    """A second process of the API, which shares Postgres with the first."""
    return client_of(settings, role=None)


@pytest.fixture
def rows(settings: Settings) -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.warehouse.dsn("loader"), autocommit=True) as loader:
        yield loader


@dataclass
class Person:
    """A user with the role analyst and the password SECRET."""

    name: str
    client: TestClient

    def status(self, password: str = SECRET, client: TestClient | None = None) -> int:
        form = {"username": self.name, "password": password}
        return (client or self.client).post(LOGIN, data=form).status_code

    def tokens(self) -> tuple[dict[str, str], str]:
        answer = self.client.post(LOGIN, data={"username": self.name, "password": SECRET})
        assert answer.headers["Cache-Control"] == "no-store"
        body = answer.json()
        return {"Authorization": f"Bearer {body['access_token']}"}, body["refresh_token"]

    def refreshed(self, token: str) -> tuple[int, str]:
        answer = self.client.post(REFRESH, data={"refresh_token": token})
        return answer.status_code, answer.json().get("refresh_token", "")


@pytest.fixture
def person(settings: Settings, client: TestClient, request: pytest.FixtureRequest) -> Person:
    name = request.node.name.removeprefix("test_")[:60]
    Users(Database(settings, "api")).add(name, SECRET, "analyst")
    return Person(name, client)


def test_after_five_wrong_passwords_each_worker_refuses_the_right_one(
    person: Person, other_worker: TestClient, rows: psycopg.Connection
) -> None:
    assert [person.status("wrong") for _ in range(4)] == [401] * 4
    assert person.status() == 200  # the count begins again
    assert [person.status("wrong") for _ in range(5)] == [401] * 5
    assert (person.status(), person.status(client=other_worker)) == (401, 401)
    wait = "update serving.users set failed_sign_in_at = failed_sign_in_at - interval '16 minutes'"
    rows.execute(wait.encode() + b" where user_name = %s", (person.name,))
    assert person.status() == 200


def test_guesses_at_once_are_counted(person: Person, other_worker: TestClient) -> None:
    with ThreadPoolExecutor(6) as pool:
        clients = (person.client, other_worker) * 3
        assert list(pool.map(lambda one: person.status("wrong", one), clients)) == [401] * 6
    assert person.status() == 401


def test_a_locked_name_has_the_answer_of_an_unknown_one(person: Person) -> None:
    for _ in range(5):
        person.status("wrong")
    forms = ({"username": name, "password": SECRET} for name in (person.name, "nobody"))
    locked, unknown = (person.client.post(LOGIN, data=form) for form in forms)
    assert (locked.status_code, locked.json()) == (unknown.status_code, unknown.json())


def test_a_refresh_token_is_valid_once_and_a_second_use_ends_the_session(person: Person) -> None:
    _, first = person.tokens()
    status, second = person.refreshed(first)
    assert status == 200
    assert person.refreshed(first)[0] == 401
    assert person.refreshed(second)[0] == 401
    assert person.refreshed("unknown")[0] == 401


def test_of_two_refreshes_at_once_one_succeeds(person: Person, settings: Settings) -> None:
    _, token = person.tokens()
    sessions = [RefreshTokens(Database(settings, "api")) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda one: one.use(token), sessions))
    assert sum(one is not None for one in found) == 1


def test_a_session_ends_after_its_lifetime(person: Person, rows: psycopg.Connection) -> None:
    _, token = person.tokens()
    end = "update serving.refresh_tokens set expires_at = now() where user_name = %s"
    rows.execute(end.encode(), (person.name,))
    assert person.refreshed(token)[0] == 401


def test_a_refreshed_session_ends_when_it_would_have_ended(
    person: Person, rows: psycopg.Connection
) -> None:
    person.refreshed(person.tokens()[1])
    query = "select count(*), count(distinct expires_at) from serving.refresh_tokens"
    found = rows.execute(query.encode() + b" where user_name = %s", (person.name,))
    assert found.fetchone() == (2, 1)


def test_only_hashes_of_refresh_tokens_are_stored(person: Person, rows: psycopg.Connection) -> None:
    _, token = person.tokens()
    found = str(rows.execute("select * from serving.refresh_tokens").fetchall())
    assert token not in found


def test_signing_out_ends_the_session(person: Person) -> None:
    _, token = person.tokens()
    assert person.client.post(LOGOUT, data={"refresh_token": token}).status_code == 204
    assert person.refreshed(token)[0] == 401
    assert person.client.post(LOGOUT, data={"refresh_token": "unknown"}).status_code == 204


def test_a_user_changes_the_own_password_which_ends_the_sessions(person: Person) -> None:
    headers, token = person.tokens()
    new = "another password"

    def changed(password: str, new_password: str) -> int:
        body = {"password": password, "new_password": new_password}
        return person.client.post(PASSWORD, json=body, headers=headers).status_code

    assert changed("wrong", new) == 401
    assert changed(SECRET, "short") == 422
    assert person.refreshed(token)[0] == 200
    assert changed(SECRET, new) == 204
    assert (person.status(), person.status(new)) == (401, 200)
    assert person.refreshed(token)[0] == 401


def test_the_admin_of_the_platform_changes_the_password_in_its_secrets(
    settings: Settings, client: TestClient
) -> None:
    token = tokens_of(settings).issue(Caller(settings.api.username, "admin"))
    body = {"password": "x", "new_password": "another password"}
    answer = client.post(PASSWORD, json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 409
    assert "is a secret of the platform" in answer.json()["detail"][0]["sentence"]


def test_an_admin_disables_and_enables_a_user(settings: Settings, person: Person) -> None:
    admin = client_of(settings, "admin")
    _, token = person.tokens()

    def change(name: str, *, is_disabled: bool) -> int:
        return admin.patch(f"{USERS}/{name}", json={"is_disabled": is_disabled}).status_code

    assert change(person.name, is_disabled=True) == 204
    assert (person.status(), person.refreshed(token)[0]) == (401, 401)
    (listed,) = (one for one in admin.get(USERS).json()["users"] if one["username"] == person.name)
    assert (listed["role"], listed["is_disabled"], listed["is_locked"]) == ("analyst", True, False)
    assert change(person.name, is_disabled=False) == 204
    assert person.status() == 200
    assert (change("nobody", is_disabled=True), change("a%00b", is_disabled=True)) == (404, 404)
    assert change("tester", is_disabled=True) == 409  # the admin itself


def test_a_user_disabled_during_a_session_cannot_refresh(
    person: Person, rows: psycopg.Connection
) -> None:
    _, token = person.tokens()
    disable = "update serving.users set is_disabled = true where user_name = %s"
    rows.execute(disable.encode(), (person.name,))
    assert person.refreshed(token)[0] == 401


@pytest.mark.parametrize("role", ["service", "analyst"])
def test_only_an_admin_sees_and_changes_users(settings: Settings, role: str) -> None:
    client = client_of(settings, role)
    assert client.get(USERS).status_code == 403
    assert client.patch(f"{USERS}/tester", json={"is_disabled": True}).status_code == 403


def test_the_list_of_users_has_no_password(settings: Settings, person: Person) -> None:
    listed = client_of(settings, "admin").get(USERS).text
    assert person.name in listed
    assert "argon2" not in listed


def test_too_many_sign_ins_of_an_address_wait(settings: Settings) -> None:
    api = settings.api.model_copy(update={"sign_ins_per_minute": 2})
    client = client_of(settings.model_copy(update={"api": api}), role=None)
    forms = [{"username": "nobody", "password": "x"}, {"username": "x"}]
    assert [client.post(LOGIN, data=form).status_code for form in forms] == [401, 422]
    answer = client.post(REFRESH, data={"refresh_token": "x"})
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_too_many_decisions_of_a_user_wait(settings: Settings) -> None:
    api = settings.api.model_copy(update={"decisions_per_minute": 1})
    client = client_of(settings.model_copy(update={"api": api}))
    assert client.post("/detect", content=b"{}").status_code == 422
    assert client.post("/detect", content=b"{}").status_code == 429
    batch = client.post("/api/v1/detect/batch", json={"payments": [{}]})
    assert batch.status_code == 429


def test_without_postgres_each_route_says_so(settings: Settings) -> None:
    nowhere = settings.warehouse.model_copy(update={"port": 1})
    client = client_of(settings.model_copy(update={"warehouse": nowhere}), "admin")
    answers = [
        client.post(REFRESH, data={"refresh_token": "x"}),
        client.post(LOGOUT, data={"refresh_token": "x"}),
        client.post(PASSWORD, json={"password": SECRET, "new_password": SECRET}),
        client.get(USERS),
        client.patch(f"{USERS}/nobody", json={"is_disabled": True}),
    ]
    assert [one.status_code for one in answers] == [503] * 5
    assert all(one.json()["detail"].startswith("Postgres is away") for one in answers)


def test_a_form_with_many_fields_is_refused(client: TestClient) -> None:
    answer = client.post(LOGIN, data={f"f{number}": "x" for number in range(20)})
    assert answer.status_code == 422
    assert "more than 10 fields" in answer.json()["detail"][0]["sentence"]
