"""The queue of cases and feedback, on a real Postgres with decisions of the API."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from contracts.settings import Settings
from serving import docs_page
from serving.access.users import Caller
from serving.analytics import NEXT
from serving.case_routes import ALERTS
from serving.cases import Cases, OtherStateError
from serving.database import Database
from serving.feedback import FEEDBACK, LONGEST_NOTE
from tests.serving.test_app import client_of, tokens_of

pytestmark = pytest.mark.postgres
HIGH = docs_page.WHOLE | {"timestamp": "2026-10-01T12:00:00Z", "amount": 12_000.5}
"""A payment of which the rules ask for a review."""


@pytest.fixture(scope="module")
def settings(postgres: Settings, warehouse: Settings) -> Settings:
    return postgres.model_copy(update={"warehouse": warehouse.warehouse})


@pytest.fixture(scope="module")
def service(settings: Settings) -> TestClient:
    return client_of(settings)


@pytest.fixture(scope="module")
def anyone(settings: Settings) -> TestClient:
    return client_of(settings, role=None)


class Analyst:
    """A user who works on cases."""

    def __init__(self, settings: Settings, client: TestClient, name: str, role: str) -> None:
        token = tokens_of(settings).issue(Caller(name, role))
        self._client, self._headers = client, {"Authorization": f"Bearer {token}"}

    def post(self, path: str, body: Any = None) -> Any:
        return self._client.post(path, json=body, headers=self._headers)

    def alerts(self, **wanted: Any) -> Any:
        return self._client.get(ALERTS, params=wanted, headers=self._headers)

    def act(self, alert: str, action: str, body: Any = None) -> tuple[int, Any]:
        answer = self.post(f"{ALERTS}/{alert}/{action}", body)
        return answer.status_code, answer.json()


@pytest.fixture(scope="module")
def anna(settings: Settings, anyone: TestClient) -> Analyst:
    return Analyst(settings, anyone, "anna", "analyst")


@pytest.fixture(scope="module")
def bert(settings: Settings, anyone: TestClient) -> Analyst:
    return Analyst(settings, anyone, "bert", "analyst")


@pytest.fixture
def rows(settings: Settings) -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings.warehouse.dsn("loader"), autocommit=True) as loader:
        yield loader


@pytest.fixture
def alert(service: TestClient, request: pytest.FixtureRequest) -> str:
    """The case of a payment with the name of the test."""
    answer = service.post("/detect", json=HIGH | {"transaction_id": request.node.name})
    assert answer.json()["recommendation"] == "REVIEW"
    return str(answer.json()["request_id"])


def sentence(answer: Any) -> str:
    return str(answer["detail"][0]["sentence"])


def test_a_case_is_claimed_and_decided_and_becomes_feedback(
    anna: Analyst, bert: Analyst, alert: str, rows: psycopg.Connection
) -> None:
    status, case = anna.act(alert, "claim")
    assert (status, case["status"], case["owner"], case["outcome"]) == (
        200,
        "claimed",
        "anna",
        None,
    )
    assert case["reason_codes"][0]["code"] == "HIGH_AMOUNT"
    assert (case["risk_level"], case["recommendation"]) == ("HIGH", "REVIEW")
    assert case["customer_id"] != HIGH["customer_id"]  # the token of the lake

    status, second = bert.act(alert, "claim")
    assert status == 409
    assert sentence(second).startswith("anna has claimed the case until")
    assert bert.act(alert, "decide", {"outcome": "false_alarm"})[0] == 409

    before = datetime.now(UTC)
    status, feedback = anna.act(
        alert, "decide", {"outcome": "confirmed_fraud", "note": " by phone"}
    )
    assert (status, feedback["outcome"], feedback["user"]) == (201, "confirmed_fraud", "anna")
    assert datetime.fromisoformat(feedback["known_at"]) > before
    stored = rows.execute(
        "select event_id, event_date::text, feedback_outcome, note, user_name from serving.feedback"
        " where feedback_id = %s",
        (feedback["feedback_id"],),
    ).fetchone()
    name = case["transaction_id"]
    assert stored == (name, "2026-10-01", "confirmed_fraud", "by phone", "anna")

    for action in ("claim", "decide"):
        status, late = bert.act(alert, action, {"outcome": "false_alarm"})
        assert status == 409
        assert sentence(late).startswith("anna has decided the case: confirmed_fraud. Correct it")


def test_a_decided_case_is_corrected_by_later_feedback(
    anna: Analyst, bert: Analyst, alert: str, rows: psycopg.Connection
) -> None:
    case = anna.act(alert, "claim")[1]
    anna.act(alert, "decide", {"outcome": "confirmed_fraud"})
    key = {name: case[name] for name in ("transaction_id", "source_system")}
    answer = bert.post(FEEDBACK, key | {"outcome": "false_alarm"})
    assert answer.status_code == 201
    decided = anna.alerts(status="decided").json()["alerts"]
    assert [one["outcome"] for one in decided if one["alert_id"] == alert] == ["false_alarm"]
    query = "select feedback_outcome from serving.feedback where event_id = %s order by known_at"
    found = rows.execute(query.encode(), (case["transaction_id"],)).fetchall()
    assert found == [("confirmed_fraud",), ("false_alarm",)]


def test_a_released_and_an_expired_claim_are_open_again(
    settings: Settings,
    anyone: TestClient,
    anna: Analyst,
    bert: Analyst,
    alert: str,
    rows: psycopg.Connection,
) -> None:
    anna.act(alert, "claim")
    assert bert.act(alert, "release")[0] == 409
    assert anna.act(alert, "release")[1]["status"] == "open"
    assert anna.act(alert, "release")[0] == 409
    assert bert.act(alert, "claim")[1]["owner"] == "bert"
    assert bert.act(alert, "claim")[0] == 200  # prolongs the own claim

    admin = Analyst(settings, anyone, "carla", "admin")
    assert admin.act(alert, "release")[1]["status"] == "open"

    bert.act(alert, "claim")
    expire = "update serving.case_events set claim_ends_at = now() where case_event = 'claimed'"
    rows.execute(expire)
    assert bert.act(alert, "decide", {"outcome": "false_alarm"})[0] == 409
    assert anna.act(alert, "claim")[1]["owner"] == "anna"


def test_of_analysts_who_claim_at_once_one_has_the_case(settings: Settings, alert: str) -> None:
    users = [Caller(f"analyst{number}", "analyst") for number in range(6)]
    together = Barrier(len(users))

    def claimed(user: Caller) -> str:
        cases = Cases(Database(settings, "api"))
        together.wait()
        try:
            return str(cases.claim(alert, user).owner)
        except OtherStateError as error:
            return str(error).split()[0]

    with ThreadPoolExecutor(len(users)) as pool:
        owners = list(pool.map(claimed, users))
    assert len(set(owners)) == 1


def test_a_case_decided_twice_at_once_has_one_feedback(
    settings: Settings, anna: Analyst, alert: str, rows: psycopg.Connection
) -> None:
    name = anna.act(alert, "claim")[1]["transaction_id"]
    together = Barrier(4)

    def decided(_: int) -> bool:
        cases = Cases(Database(settings, "api"))
        together.wait()
        try:
            return bool(cases.decide(alert, Caller("anna", "analyst"), "false_alarm", None))
        except OtherStateError:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(decided, range(4))) == 1
    query = "select count(*) from serving.feedback where event_id = %s"
    assert rows.execute(query.encode(), (name,)).fetchone() == (1,)


def test_a_failed_decision_leaves_case_and_feedback_as_they_were(
    anna: Analyst, alert: str, rows: psycopg.Connection
) -> None:
    name = anna.act(alert, "claim")[1]["transaction_id"]
    status, answer = anna.act(alert, "decide", {"outcome": "false_alarm", "note": "a\x00b"})
    assert (status, sentence(answer)) == (422, "note: it has the control character U+0000.")
    count = "select count(*) from serving.case_events where event_id = %s"
    assert rows.execute(count.encode(), (name,)).fetchone() == (1,)


def test_pages_have_each_open_case_once_by_risk(
    service: TestClient, anna: Analyst, rows: psycopg.Connection
) -> None:
    for number, score in enumerate((0.9, 0.2, None, 0.5, 0.5)):
        name = f"page {number}"
        service.post("/detect", json=HIGH | {"transaction_id": name})
        level = "critical" if number == 1 else "high"
        change = "update serving.decisions set score = %s, risk_level = %s where event_id = %s"
        rows.execute(change.encode(), (score, level, name))
    found: list[dict[str, Any]] = []
    wanted: dict[str, Any] = {"limit": 2, "source_system": "sparkov"}
    while True:
        answer = anna.alerts(**wanted)
        found += answer.json()["alerts"]
        if NEXT not in answer.headers:
            break
        wanted["after"] = answer.headers[NEXT]
    names = [one["transaction_id"] for one in found]
    assert len(names) == len(set(names))
    ordered = [name for name in names if name.startswith("page")]
    assert ordered == [f"page {number}" for number in (1, 0, 3, 4, 2)]
    critical = anna.alerts(level="CRITICAL").json()["alerts"]
    assert [one["transaction_id"] for one in critical] == ["page 1"]
    assert anna.alerts(source_system="paysim1").json() == {"alerts": [], "next": None}


def test_an_approved_payment_is_no_case(service: TestClient, anna: Analyst) -> None:
    low = service.post("/detect", json=HIGH | {"transaction_id": "low", "amount": 20}).json()
    assert low["recommendation"] == "APPROVE"
    assert anna.act(low["request_id"], "claim")[0] == 404


@pytest.mark.parametrize("alert_id", ["nobody", "a%00b", "x" * 2_000])
def test_an_unknown_case_is_named(anna: Analyst, alert_id: str) -> None:
    assert anna.act(alert_id, "claim")[0] == 404


@pytest.mark.parametrize(
    "wanted",
    [
        {"status": "lost"},
        {"level": "low"},
        {"source_system": "nobody"},
        {"limit": 0},
        {"after": "x"},
        {"after": "WzEsMSwxXQ"},
        {"after": "WzEsIDEsICJub29uIiwgImEiXQ"},
    ],
)
def test_a_wrong_filter_of_the_queue_is_refused(anna: Analyst, wanted: dict[str, Any]) -> None:
    answer = anna.alerts(**wanted)
    assert answer.status_code == 422
    assert next(iter(wanted)) in answer.text


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"transaction_id": "nothing"}, 404, "transaction_id"),
        ({"transaction_id": "a\x00b"}, 422, "transaction_id"),
        ({"source_system": "nobody"}, 422, "source_system"),
        ({"source_system": "paysim1"}, 404, "transaction_id"),
        ({"outcome": "maybe"}, 422, "outcome"),
        ({"note": "x" * (LONGEST_NOTE + 1)}, 422, "note"),
        ({"user": "somebody else"}, 422, "user"),
    ],
)
def test_wrong_feedback_is_refused_with_its_field(
    service: TestClient, anna: Analyst, change: dict[str, Any], status: int, field: str
) -> None:
    service.post("/detect", json=HIGH | {"transaction_id": "known"})
    given = {"transaction_id": "known", "source_system": "sparkov", "outcome": "false_alarm"}
    answer = anna.post(FEEDBACK, given | change)
    assert answer.status_code == status
    assert [one["field"] for one in answer.json()["detail"]] == [field]


def test_feedback_on_a_payment_of_production_is_stored(settings: Settings, anna: Analyst) -> None:
    names = "source_system text, event_id text, event_date date"
    with psycopg.connect(settings.warehouse.dsn("transformer"), autocommit=True) as owner:
        owner.execute(f"create table production.fct_transactions ({names})")
        owner.execute("insert into production.fct_transactions values ('sparkov', 'old', now())")
    given = {"transaction_id": "old", "source_system": "sparkov", "outcome": "confirmed_fraud"}
    assert anna.post(FEEDBACK, given).status_code == 201


def test_a_service_sees_no_case_and_gives_no_feedback(service: TestClient, alert: str) -> None:
    assert service.get(ALERTS).status_code == 403
    for action in ("claim", "release", "decide"):
        assert service.post(f"{ALERTS}/{alert}/{action}", json={}).status_code == 403
    assert service.post(FEEDBACK, json={}).status_code == 403


def test_the_api_changes_and_deletes_no_event_and_no_feedback(settings: Settings) -> None:
    for table in ("decisions", "case_events", "feedback"):
        for verb in ("delete from {}", "update {} set event_id = ''"):
            with (
                psycopg.connect(settings.warehouse.dsn("api")) as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                connection.execute(verb.format(f"serving.{table}").encode())


def test_without_postgres_the_queue_says_so(settings: Settings) -> None:
    nowhere = settings.warehouse.model_copy(update={"port": 1})
    client = client_of(settings.model_copy(update={"warehouse": nowhere}), "analyst")
    given = {"transaction_id": "x", "source_system": "sparkov", "outcome": "false_alarm"}
    answers = [
        client.get(ALERTS),
        client.post(f"{ALERTS}/x/claim"),
        client.post(f"{ALERTS}/x/decide", json={"outcome": "false_alarm"}),
        client.post(FEEDBACK, json=given),
    ]
    assert [one.status_code for one in answers] == [503] * 4
