"""Two processes of the API on one Postgres, each with separate connections and micro-batches."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest

from contracts.settings import Settings
from serving import docs_page
from serving.decision import Decision
from serving.service import DecisionService

pytestmark = pytest.mark.postgres
PAYMENT: dict[str, Any] = docs_page.WHOLE | {"timestamp": "2026-10-01T12:00:00Z"}


@pytest.fixture(scope="module")
def settings(postgres: Settings, warehouse: Settings) -> Settings:
    return postgres.model_copy(update={"warehouse": warehouse.warehouse})


@pytest.fixture(scope="module")
def processes(settings: Settings) -> tuple[DecisionService, DecisionService]:
    return DecisionService(settings), DecisionService(settings)


def at_once(requests: list[tuple[DecisionService, dict[str, Any]]]) -> list[Decision]:
    """Return the decisions on payments that are sent at the same time."""

    def decided(request: tuple[DecisionService, dict[str, Any]]) -> Decision:
        process, change = request
        return process.detect(json.dumps(PAYMENT | change).encode(), "tester")

    with ThreadPoolExecutor(len(requests)) as callers:
        return list(callers.map(decided, requests))


def count(settings: Settings, table: str, like: str) -> int:
    with psycopg.connect(settings.warehouse.dsn("api")) as connection:
        query = f"select count(*) from serving.{table} where event_id like %s"
        return int(connection.execute(query.encode(), (like,)).fetchone()[0])  # type: ignore[index]


def test_a_payment_has_one_answer_and_one_row(
    settings: Settings, processes: tuple[DecisionService, DecisionService]
) -> None:
    names = [{"transaction_id": f"same {number}"} for number in range(10)]
    forwards, backwards = processes
    answers = at_once(
        [(forwards, name) for name in names] + [(backwards, name) for name in reversed(names)]
    )
    assert all(one.recorded for one in answers)
    others = reversed(answers[10:])
    for one, other in zip(answers[:10], others, strict=True):
        assert msgspec.json.encode(one) == msgspec.json.encode(other)
    assert count(settings, "decisions", "same %") == count(settings, "recent_payments", "same %")
    assert count(settings, "decisions", "same %") == 10


def test_each_payment_of_a_customer_is_decided_and_known_to_later_ones(
    settings: Settings, processes: tuple[DecisionService, DecisionService]
) -> None:
    of = {"customer_id": "of both", "card_number": "of both"}
    requests = [
        (processes[number % 2], of | {"transaction_id": f"own {number}"}) for number in range(20)
    ]
    assert all(one.recorded for one in at_once(requests))
    assert (
        count(settings, "decisions", "own %") == count(settings, "recent_payments", "own %") == 20
    )
    later = of | {"transaction_id": "later", "timestamp": "2026-10-01T12:00:01Z"}
    for process in processes:
        (decision,) = at_once([(process, later)])
        assert decision.features["customer_transaction_count_1h"] == 21
