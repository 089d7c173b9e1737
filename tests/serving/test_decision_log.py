"""Each decision is stored once, before its answer leaves, and survives kill -9."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import psutil
import psycopg
import pytest

from contracts.settings import REPO, Settings
from embedded import platform
from embedded.services import api
from serving import docs_page
from serving.request import BadRequestError
from serving.service import DecisionService
from tests.instances import own_instance
from tests.serving.champions import learnt
from tests.serving.sample import lake
from warehouse.migrate import migrate

pytestmark = pytest.mark.postgres
PAYMENT: dict[str, Any] = docs_page.WHOLE | {"timestamp": "2026-10-01T12:00:00Z"}


@pytest.fixture(scope="module")
def settings(postgres: Settings, warehouse: Settings) -> Settings:
    """The warehouse with the key of the test platform."""
    return postgres.model_copy(update={"warehouse": warehouse.warehouse})


@pytest.fixture(scope="module")
def service(settings: Settings) -> DecisionService:
    return DecisionService(settings)


def body(**change: Any) -> bytes:
    return json.dumps(PAYMENT | change).encode()


def rows(settings: Settings, like: str) -> dict[str, str]:
    """Return the identifier of the request of each stored decision."""
    with psycopg.connect(settings.warehouse.dsn("api")) as connection:
        found = connection.execute(
            "select event_id, request_id from serving.decisions where event_id like %s", (like,)
        )
        return dict(found.fetchall())


def test_a_repeat_gets_the_same_answer_and_adds_no_row(
    settings: Settings, service: DecisionService
) -> None:
    first = service.detect(body(transaction_id="twice", amount=12.5), "tester")
    assert first.recorded
    again = service.detect(body(transaction_id="twice", amount="12.50"), "tester")
    assert msgspec.json.encode(again) == msgspec.json.encode(first)
    assert rows(settings, "twice") == {"twice": first.request_id}
    assert service.metrics.registry.get_sample_value("tollgate_api_repeats_total") == 1
    later = service.detect(body(transaction_id="next"), "tester")
    assert later.features["customer_transaction_count_1h"] == 2


def test_the_same_payment_at_once_is_decided_once(
    settings: Settings, service: DecisionService
) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(service.detect, [body(transaction_id="at once")] * 12, ["tester"] * 12)
        )
    assert {one.request_id for one in answers} == {*rows(settings, "at once").values()}
    assert len({msgspec.json.encode(one) for one in answers}) == 1


def test_an_id_with_other_content_is_refused(settings: Settings, service: DecisionService) -> None:
    first = service.detect(body(transaction_id="other"), "tester")
    with pytest.raises(BadRequestError) as error:
        service.detect(body(transaction_id="other", amount=1), "tester")
    assert error.value.status == 409
    assert [one.field for one in error.value.mistakes] == ["transaction_id"]
    assert rows(settings, "other") == {"other": first.request_id}


def test_the_log_has_the_decision_and_no_identifier_of_a_person(
    settings: Settings, service: DecisionService
) -> None:
    given = {name: PAYMENT[name] for name in ("customer_id", "card_number", "device_id", "ip")}
    decision = service.detect(body(transaction_id="private", lat=25.8123), "tester")
    with psycopg.connect(settings.warehouse.dsn("api")) as connection:
        cursor = connection.execute("select * from serving.decisions where event_id = 'private'")
        names = [column.name for column in cursor.description or ()]
        row = dict(zip(names, cursor.fetchone() or (), strict=True))
    text = json.dumps(row, default=str)
    assert not [value for value in given.values() if str(value) in text]
    assert "25.8123" not in text
    assert row["answer"].encode() == msgspec.json.encode(decision)
    assert row["request"]["channel"] == "web"
    assert row["caller"] == "tester"
    assert (row["is_degraded"], row["score"], row["model_name"]) == (True, None, None)
    assert row["risk_level"] == decision.risk_level.lower()


def test_the_log_has_the_score_of_the_challenger(settings: Settings) -> None:
    champion = learnt(*lake())
    service = DecisionService(settings)
    service.models.use({"sparkov": champion}, {"sparkov": replace(champion, version=2)})
    decision = service.detect(body(transaction_id="shadow"), "tester")
    assert decision.model is not None
    assert decision.model.version == 1
    with psycopg.connect(settings.warehouse.dsn("api")) as connection:
        row = connection.execute(
            "select model_version, score, shadow_model_version, shadow_score"
            " from serving.decisions where event_id = 'shadow'"
        ).fetchone()
    assert row == (1, decision.risk_score, 2, decision.risk_score)


def test_a_model_that_fails_leaves_the_decision_to_the_others(settings: Settings) -> None:
    champion = learnt(*lake())
    failing = replace(champion, version=2, model=None, onnx=None)
    service = DecisionService(settings)
    service.models.use({"sparkov": champion}, {"sparkov": failing})
    by_champion = service.detect(body(transaction_id="challenger fails"), "tester")
    assert (by_champion.degraded, by_champion.model and by_champion.model.version) == (False, 1)

    service.models.use({"sparkov": failing})
    by_rules = service.detect(body(transaction_id="champion fails", amount=12_000), "tester")
    assert by_rules.degraded_causes == [
        "No model has scored the payment: fraud_detector_sparkov version 2 fails."
    ]
    assert (by_rules.model, by_rules.risk_score, by_rules.recorded) == (None, None, True)
    assert by_rules.reason_codes[0].code == "HIGH_AMOUNT"


def test_a_log_of_an_earlier_version_is_set_aside(
    settings: Settings, service: DecisionService
) -> None:
    service.detect(body(transaction_id="earlier"), "tester")
    with psycopg.connect(settings.warehouse.dsn("loader")) as loader:
        loader.execute("alter table serving.decisions drop column shadow_score")
    migrate(settings)
    assert rows(settings, "earlier") == {}
    assert service.detect(body(transaction_id="later"), "tester").recorded
    with psycopg.connect(settings.warehouse.dsn("loader")) as loader:
        ((name,),) = loader.execute(
            "select relname from pg_class where relname like 'decisions_until_%' and relkind = 'r'"
        ).fetchall()
        kept = f"select 1 from serving.{name} where event_id = 'earlier'".encode()
        assert loader.execute(kept).fetchone()


def test_more_payments_than_the_api_decides_get_an_answer_by_rules_alone(
    settings: Settings, service: DecisionService
) -> None:
    key = "select pg_advisory_xact_lock(hashtext('serving.decisions'))"  # as another process has it
    with psycopg.connect(settings.warehouse.dsn("loader")) as other:
        other.execute(key)
        requests = [service.read(body(transaction_id=f"load {n}"), "tester") for n in range(200)]
        futures = [service.submit(one) for one in requests]
        at_once = [one.result(10) for one in futures[-5:]]
    assert all(one.degraded and not one.recorded for one in at_once)
    assert at_once[0].degraded_causes[0].startswith("More payments arrive than the API decides")
    recorded = sum(one.result(10).recorded for one in futures)
    assert len(rows(settings, "load %")) == recorded
    assert service.detect(body(transaction_id="after the load"), "tester").recorded


@contextmanager
def served(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run the API as a process until the end of the block."""
    declared = api.service(settings)
    launch = declared.launch()
    quiet = subprocess.DEVNULL
    began = time.time()
    process = subprocess.Popen(
        launch.command,
        cwd=REPO,
        env=launch.environment,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while not declared.ready(process.pid, began):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield process
    finally:
        process.kill()
        process.wait()


class Callers:
    """Threads that post payments; `acknowledged` and `unrecorded` have the answers, by payment."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.acknowledged: dict[str, str] = {}
        self.unrecorded: dict[str, str] = {}
        self._address = f"{settings.api.url}/detect"
        password = settings.api.password.get_secret_value()
        form = {"username": settings.api.username, "password": password}
        token = httpx.post(f"{settings.api.url}/api/v1/auth/login", data=form, timeout=30).json()
        self._headers = {"Authorization": f"Bearer {token['access_token']}"}
        self._name, self._stopping = name, threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(n,)) for n in range(4)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int, answers: dict[str, str] | None = None) -> None:
        """Wait until there are so many more answers, by default acknowledged ones."""
        answers = self.acknowledged if answers is None else answers
        until, deadline = len(answers) + count, time.monotonic() + 60
        while len(answers) < until:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _post(self, caller: int) -> None:
        number = 0
        with httpx.Client(timeout=10, headers=self._headers) as client:
            while not self._stopping.is_set():
                number += 1
                payment = f"{self._name} {caller} {number}"
                try:
                    sent = body(transaction_id=payment, customer_id=f"c{caller}")
                    answer = client.post(self._address, content=sent).json()
                except (httpx.TransportError, ValueError):
                    time.sleep(0.05)
                    continue
                if answer["recorded"]:
                    self.acknowledged[payment] = answer["request_id"]
                else:
                    self.unrecorded[payment] = answer["request_id"]


def processes_of_postgres(settings: Settings) -> list[psutil.Process]:
    server = psutil.Process(platform.read_status(settings)["services"]["postgres"]["pid"])
    return [*server.children(), server]


def test_no_acknowledged_decision_is_lost_when_api_or_postgres_are_killed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """It takes 40 s: an own Postgres and the API start, and each is killed under load."""
    state = tmp_path_factory.mktemp("killed") / "state"
    with own_instance(state, ports=60) as settings:
        platform.up(settings, ["postgres"])
        with served(settings) as process, Callers(settings, "api") as callers:
            callers.wait_for(60)
            process.kill()
        found = rows(settings, "api %")
        assert callers.acknowledged.items() <= found.items()
        assert len(callers.acknowledged) >= 60

        with served(settings), Callers(settings, "postgres") as callers:
            callers.wait_for(60)
            frozen = processes_of_postgres(settings)
            for one in frozen:
                one.suspend()
            callers.wait_for(8, callers.unrecorded)  # each caller gets an answer in time
            for one in frozen:
                one.resume()
            callers.wait_for(20)

            for one in processes_of_postgres(settings):
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            callers.wait_for(20)  # the supervisor has started Postgres again
        assert callers.acknowledged.items() <= rows(settings, "postgres %").items()
