"""Lists of PRODUCTION over HTTP, on a real Postgres."""

import csv
from collections.abc import Iterator
from datetime import date, timedelta

import psycopg
import pytest
from fastapi.testclient import TestClient

from contracts.render import to_postgres
from contracts.settings import Settings
from serving.analytics import LISTS, NEXT
from tests.serving.test_app import client_of

pytestmark = pytest.mark.postgres
FIRST = date(2026, 6, 1)
SUMMARY = LISTS["summary"]
PATH = "/api/v1/analytics/summary"


@pytest.fixture(scope="module")
def settings(postgres: Settings, warehouse: Settings) -> Settings:
    """A warehouse with ten days of two sources in rpt_fraud_daily, and no other mart."""
    columns = ", ".join(("event_date", "source_system", "currency", "amount"))
    with psycopg.connect(warehouse.warehouse.dsn("transformer")) as owner:
        owner.execute(to_postgres.create_table(SUMMARY, SUMMARY.name))
        for name in SUMMARY.column_names:
            if name not in SUMMARY.key:
                owner.execute(f"alter table {SUMMARY.name} alter {name} drop not null")
        for day in range(10):
            for source in ("paysim", "sparkov"):
                owner.execute(
                    f"insert into {SUMMARY.name} ({columns}) values (%s, %s, 'USD', %s)",
                    (FIRST + timedelta(day), source, day * 100),
                )
    return postgres.model_copy(update={"warehouse": warehouse.warehouse})


@pytest.fixture(scope="module")
def client(settings: Settings) -> TestClient:
    return client_of(settings, "analyst")


def pages(client: TestClient, **wanted: str | int) -> Iterator[list[tuple[str, str]]]:
    """Yield date and source of the rows of each page."""
    while True:
        answer = client.get(PATH, params=wanted)
        assert answer.status_code == 200
        body = answer.json()
        yield [(row["event_date"], row["source_system"]) for row in body["rows"]]
        assert answer.headers.get(NEXT) == body["next"]
        if body["next"] is None:
            return
        wanted["after"] = body["next"]


def test_pages_have_each_row_once_in_order(client: TestClient) -> None:
    found = list(pages(client, limit=6))
    assert [len(rows) for rows in found] == [6, 6, 6, 2]
    rows = [row for page in found for row in page]
    assert rows == sorted(set(rows))
    assert len(rows) == 20


def test_filters_choose_source_and_dates(client: TestClient) -> None:
    wanted = {"source_system": "sparkov", "from": "2026-06-03", "to": "2026-06-04"}
    assert list(pages(client, **wanted)) == [[("2026-06-03", "sparkov"), ("2026-06-04", "sparkov")]]


def test_csv_has_the_columns_of_the_table(client: TestClient) -> None:
    answer = client.get(PATH, params={"format": "csv", "limit": 3})
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert answer.headers["content-type"].startswith("text/csv")
    assert list(rows[0]) == list(SUMMARY.column_names)
    assert [row["amount"] for row in rows] == ["0.0000", "0.0000", "100.0000"]
    assert answer.headers[NEXT]


@pytest.mark.parametrize(
    "wanted",
    [
        {"source_system": "nobody"},
        {"source_system": "a\x00b"},
        {"from": "yesterday"},
        {"limit": 0},
        {"limit": 1_001},
        {"format": "xml"},
        {"after": "x"},
        {"after": "ÿ"},
        {"after": "WyJhIl0"},
        {"after": "WzEsMSwxXQ"},
        {"after": "WyJub2RheSIsImEiLCJiIl0"},
    ],
)
def test_a_wrong_filter_is_refused(client: TestClient, wanted: dict[str, str | int]) -> None:
    answer = client.get(PATH, params=wanted)
    assert answer.status_code == 422
    assert next(iter(wanted)) in answer.text


def test_only_analysts_and_admins_read_lists(settings: Settings) -> None:
    assert client_of(settings, "service").get(PATH).status_code == 403
    assert client_of(settings, None).get(PATH).status_code == 401
    assert client_of(settings, "admin").get(PATH).status_code == 200


def test_a_mart_that_is_not_there_and_a_lost_postgres_are_sentences(
    client: TestClient, settings: Settings
) -> None:
    answer = client.get("/api/v1/analytics/fraud-alerts")
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "PRODUCTION has no fct_fraud_alerts yet.",
    )
    nowhere = settings.warehouse.model_copy(update={"port": 1})
    away = client_of(settings.model_copy(update={"warehouse": nowhere}), "analyst")
    assert away.get(PATH).status_code == 503
