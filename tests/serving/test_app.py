"""The web application, on a real Postgres and without a champion: rules alone decide."""

import json
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from contracts.settings import Settings
from serving import docs_page
from serving.access.access_tokens import AccessTokens
from serving.access.signing_keys import SigningKeys
from serving.access.users import Caller, Users
from serving.app import MOST_PAYMENTS, create_app
from serving.database import Database
from serving.request import LARGEST_BODY
from serving.service import DecisionService

pytestmark = pytest.mark.postgres
PAYMENT: dict[str, Any] = docs_page.WHOLE | {"timestamp": "2026-10-01T12:00:00Z"}


def tokens_of(settings: Settings) -> AccessTokens:
    """Return what issues and reads the tokens of an application."""
    return AccessTokens(SigningKeys(settings.signing_keys_file))


def app_of(settings: Settings) -> tuple[FastAPI, DecisionService]:
    """Return an application and its service."""
    service = DecisionService(settings)
    tokens, production = tokens_of(settings), Database(settings, "reader")
    return create_app(service, Users(service.database), tokens, production, settings.api), service


def client_of(settings: Settings, role: str | None = "service") -> TestClient:
    """Return a client of an application that loads no champion, since it is not started.

    It has a token with a role, or none.
    """
    app, _ = app_of(settings)
    token = tokens_of(settings).issue(Caller("tester", role)) if role else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return TestClient(app, headers=headers, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def settings(postgres: Settings, warehouse: Settings) -> Settings:
    """The warehouse with the key of the test platform."""
    return postgres.model_copy(update={"warehouse": warehouse.warehouse})


@pytest.fixture(scope="module")
def client(settings: Settings) -> TestClient:
    return client_of(settings)


@pytest.fixture
def client_without_postgres(settings: Settings) -> TestClient:
    nowhere = settings.warehouse.model_copy(update={"port": 1})
    return client_of(settings.model_copy(update={"warehouse": nowhere}))


def metric(client: TestClient, name: str, **labels: str) -> float:
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return 0.0


@pytest.mark.parametrize("path", ["/detect", "/api/v1/detect"])
def test_without_a_champion_the_rules_decide(client: TestClient, path: str) -> None:
    before = metric(client, "tollgate_api_degraded_total", part="model")
    payment = PAYMENT | {"transaction_id": f"rules {path}", "amount": 12_000.5}
    answer = client.post(path, json=payment)
    assert answer.status_code == 200
    body = answer.json()
    assert answer.headers["X-Request-ID"] == body["request_id"]
    assert body["degraded"] is True
    assert body["degraded_causes"] == [
        "No model has scored the payment: The champions are being loaded."
    ]
    assert (body["risk_score"], body["model"]) == (None, None)
    assert (body["risk_level"], body["recommendation"]) == ("HIGH", "REVIEW")
    assert body["reason_codes"][0]["code"] == "HIGH_AMOUNT"
    assert "The amount is 12,000.50 USD" in body["reason_codes"][0]["sentence"]
    assert metric(client, "tollgate_api_degraded_total", part="model") == before + 1


def test_a_decision_knows_the_payments_before_it(client: TestClient) -> None:
    own = {"customer_id": "somebody", "card_number": "k1"}
    codes = []
    for number in range(5):
        at = {"timestamp": f"2026-10-01T12:00:0{number}Z", "lat": 25.8 - number, "amount": 20}
        answer = client.post("/detect", json=PAYMENT | own | at | {"transaction_id": f"f{number}"})
        codes.append([one["code"] for one in answer.json()["reason_codes"]])
    assert answer.json()["features"]["customer_transaction_count_1h"] == 5
    assert "VELOCITY_MULTI_CITY" not in codes[2]
    assert "VELOCITY_MULTI_CITY" in codes[4]


def test_a_batch_has_the_answer_of_each_payment(client: TestClient) -> None:
    alone = client.post("/detect", json=PAYMENT | {"transaction_id": "b1"}).json()
    ids, amounts = ("b1", "b2", "b3", "b3"), (PAYMENT["amount"], -5, 30, 40)
    payments = [
        PAYMENT | {"transaction_id": name, "amount": amount}
        for name, amount in zip(ids, amounts, strict=True)
    ]
    long = PAYMENT | {"merchant": "x" * LARGEST_BODY}

    answer = client.post("/api/v1/detect/batch", json={"payments": [*payments, long]})

    outcomes = answer.json()["outcomes"]
    assert [one["status"] for one in outcomes] == [200, 422, 200, 409, 413]
    assert outcomes[0]["decision"] == alone
    assert [one["field"] for one in outcomes[1]["detail"]] == ["amount"]
    assert outcomes[2]["decision"]["features"]["customer_transaction_count_1h"] >= 2
    assert outcomes[3]["decision"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"payments": []}', 422),
        (b'{"payments": [' + b"{}," * MOST_PAYMENTS + b"{}]}", 422),
        (b'{"payments": [{]}', 400),
        (b"x" * (MOST_PAYMENTS * LARGEST_BODY + 1), 413),
    ],
)
def test_a_batch_without_payments_or_with_too_many_is_refused(
    client: TestClient, body: bytes, status: int
) -> None:
    answer = client.post("/api/v1/detect/batch", content=body)
    assert answer.status_code == status
    assert answer.json()["detail"][0]["sentence"]


def test_without_postgres_the_caller_gets_an_answer(client_without_postgres: TestClient) -> None:
    client = client_without_postgres
    answer = client.post("/detect", json=PAYMENT | {"amount": 12_000.5})
    assert answer.status_code == 200
    body = answer.json()
    assert body["degraded"] is True
    assert body["degraded_causes"][-1].startswith("The online store is away (OperationalError)")
    assert [one["code"] for one in body["reason_codes"]] == ["HIGH_AMOUNT"]
    assert body["recorded"] is False
    assert body["features"]["hour_of_day"] == 12
    assert body["features"]["customer_transaction_count_30d"] is None
    assert metric(client, "tollgate_api_degraded_total", part="store") == 1
    health = client.get("/health/ready")
    assert health.status_code == 503
    assert health.json()["dependencies"]["postgres"] == "does not answer (OperationalError)"
    assert client.get("/health/live").json() == {"status": "live"}


def test_a_lost_connection_is_opened_again(client: TestClient, settings: Settings) -> None:
    client.post("/detect", json=PAYMENT | {"transaction_id": "before"})
    with psycopg.connect(settings.warehouse.dsn("api"), autocommit=True) as other:
        other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = current_user and pid <> pg_backend_pid()"
        )
    answer = client.post("/detect", json=PAYMENT | {"transaction_id": "after"})
    assert not any("store" in cause for cause in answer.json()["degraded_causes"])
    assert client.get("/health").json()["dependencies"]["postgres"] == "answers"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"x" * (LARGEST_BODY + 1), 413, None),
        (b'{"transaction_id": "a", "amount": NaN}', 400, "amount"),
        (json.dumps(PAYMENT | {"foo": 1}).encode(), 422, "foo"),
        (json.dumps(PAYMENT | {"amount": -5}).encode(), 422, "amount"),
    ],
)
def test_a_hostile_request_is_refused_with_its_field(
    client: TestClient, body: bytes, status: int, field: str | None
) -> None:
    before = metric(client, "tollgate_api_refused_total", status=str(status))
    answer = client.post("/detect", content=body)
    assert answer.status_code == status
    assert [problem["field"] for problem in answer.json()["detail"]] == [field]
    assert metric(client, "tollgate_api_refused_total", status=str(status)) == before + 1


def test_the_documentation_shows_each_field_and_loads_nothing(client: TestClient) -> None:
    page = client.get("/docs").text
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    for name in ("PaymentRequest", "Decision"):
        for field in schemas[name]["properties"]:
            assert f"<code>{field}</code>" in page
    assert "<script" not in page
    assert "://" not in page.replace("http://testserver", "")
    operation = document["paths"]["/api/v1/detect"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/PaymentRequest"
    }


@pytest.mark.parametrize("example", [docs_page.SHORT, docs_page.WHOLE])
def test_the_examples_of_the_documentation_are_decided(
    client: TestClient, example: dict[str, Any]
) -> None:
    answer = client.post("/detect", json=example)
    assert answer.status_code == 200
    assert answer.json().keys() == docs_page.ANSWER.keys()
