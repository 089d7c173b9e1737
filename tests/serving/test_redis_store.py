"""The online store in Redis: the rows of that in Postgres, fills at once, and Redis away."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from contracts.render import to_arrow
from contracts.settings import HOST, REPO, Settings
from embedded.places import python
from embedded.services.common import environment, http_ok
from serving.access.access_tokens import AccessTokens
from serving.access.signing_keys import SigningKeys
from serving.access.users import Caller
from serving.fill import recent, store_rows
from serving.redis_store import FILL_SECONDS, OnlineStoreError, RedisStore, redis_store
from serving.service import LIMIT_SECONDS, DecisionService
from serving.store import RECENT, Payment
from tests.free_port import free_port
from tests.serving.redis_server import PASSWORD, RedisServer
from tests.serving.sample import lake
from tests.serving.stores import Store
from tests.serving.test_decision_log import PAYMENT, body, rows

pytestmark = pytest.mark.postgres
_AT = datetime(2024, 6, 30, 12, 0, 0, 123_457, UTC)
_INSTANT = timedelta(microseconds=1)


def payment(event_id: str, **change: Any) -> Payment:
    """Return a payment of the customer `c` to the merchant `m`, null where it may be."""
    return {
        **dict.fromkeys(RECENT.column_names),
        "event_id": event_id,
        "source_system": "sparkov",
        "source_sequence": 2**62 + 1,
        "event_at": _AT,
        "event_at_precision": "second",
        "event_date": _AT.date(),
        "customer_id": "c",
        "counterparty_id": "m",
        "counterparty_type": "merchant",
        "amount": Decimal("9007199254740993.0001"),
        "currency": "USD",
        **change,
    }


def empty() -> tuple[pa.Table, pa.Table]:
    """Return no payments and no counts."""
    payments, labels = lake()
    return recent(payments.slice(0, 0), labels)


@pytest.fixture
def redis(redis_server: RedisServer, warehouse: Settings) -> RedisStore:
    """A store in Redis without payments."""
    redis_server.client.flushall()
    made = redis_store(redis_server.settings(warehouse).api, FILL_SECONDS)
    assert made is not None
    made.replace("sparkov", *empty(), list)
    return made


def test_the_store_gives_the_payments_of_each_window_to_the_microsecond(store: Store) -> None:
    store.fill_until(*lake(), date(2024, 1, 1))
    ends = {
        "customer": ({}, 30),
        "merchant": ({"customer_id": "other"}, 37),
        "received": ({"customer_id": "other", "counterparty_id": "c"}, 1),
    }
    expected, stored = [], []
    for name, (change, days) in ends.items():
        party = change | ({"counterparty_type": "customer"} if name == "received" else {})
        for age, is_read in (
            (timedelta(0), True),
            (-_INSTANT, False),
            (timedelta(days) - _INSTANT, True),
            (timedelta(days), False),
        ):
            row = payment(f"{name} {age}", **party, event_at=_AT - age)
            if name == "customer":
                row = {**row, "counterparty_id": None}
            stored.append(row)
            expected += [row] if is_read else []
    # A merchant with the name of the customer has received nothing for the customer.
    stored.append(payment("no customer", customer_id="other", counterparty_id="c"))
    own = payment("own", event_at=_AT + timedelta(5), customer_id="x", counterparty_id=None)
    stored.append(own)
    asked = payment("own")
    with store.opened() as opened:
        opened.add(stored)
        opened.add([payment("own"), {**stored[0], "amount": Decimal(1)}])  # they stay as they are
    assert store.events([asked]) == sorted([*expected, own], key=lambda one: one["event_id"])


def test_both_stores_give_the_same_rows_and_counts(warehouse: Settings, redis: RedisStore) -> None:
    payments, labels = lake()
    last = payments["event_date"][-1].as_py()
    store, other = Store(warehouse, None), Store(warehouse, redis)
    for one in (store, other):
        one.fill_until(payments, labels, last)
    for asked in (payments.slice(20_000, 1), payments.slice(18_000, 64), payments.slice(20_440)):
        assert other.events(asked.to_pylist()) == store.events(asked.to_pylist())
        with store.opened() as here:
            counts = [
                sorted(map(str, one.category_counts(asked.to_pylist()).to_pylist()))
                for one in (here, redis)
            ]
        assert counts[0] == counts[1] != []


def test_readers_see_the_earlier_contents_until_a_fill_is_done(
    redis: RedisStore, redis_server: RedisServer
) -> None:
    schema = to_arrow.schema(RECENT)
    asked, seen = [payment("asked")], []

    def ids() -> list[str]:
        return sorted(redis.events(asked)["event_id"].to_pylist())

    def decided() -> Iterator[pa.Table]:
        seen.append(ids())
        if len(seen) == 1:
            redis.add([payment("meanwhile")])
        yield pa.Table.from_pylist([payment("meanwhile")], schema)

    redis.add([payment("withdrawn")])
    in_lake = pa.Table.from_pylist([payment("in the lake")], schema)
    redis.replace("sparkov", in_lake, empty()[1], decided)
    assert seen == [["withdrawn"], ["in the lake", "meanwhile"]]
    assert ids() == ["in the lake", "meanwhile"]

    def killed() -> Iterator[pa.Table]:
        raise KeyboardInterrupt

    before = set(redis_server.client.keys())
    with pytest.raises(KeyboardInterrupt):
        redis.replace("sparkov", in_lake, empty()[1], killed)
    assert ids() == ["in the lake", "meanwhile"]
    assert set(redis_server.client.keys()) > before
    redis.replace("sparkov", in_lake, empty()[1], list)
    assert ids() == ["in the lake"]
    # Of the earlier contents, of those of the killed fill, and of withdrawn payments nothing stays.
    assert len(redis_server.client.keys()) == 4


@pytest.fixture
def settings(postgres: Settings, warehouse: Settings, redis_server: RedisServer) -> Settings:
    """The warehouse with the key of the test platform, and an online store in Redis."""
    return redis_server.settings(postgres.model_copy(update={"warehouse": warehouse.warehouse}))


def causes(service: DecisionService, **change: Any) -> list[str]:
    """Return the causes of a decision other than the missing champion; it is recorded."""
    decision = service.detect(body(**change), "tester")
    assert decision.recorded
    return [one for one in decision.degraded_causes if "online store" in one]


def filled(settings: Settings) -> None:
    """Fill the store from a lake whose payments end before those of the test."""
    redis = redis_store(settings.api, FILL_SECONDS)
    store_rows(settings.warehouse.dsn("loader"), "sparkov", date(2026, 9, 1), *empty(), redis)


def test_without_redis_decisions_are_recorded_and_known_after_a_fill(
    settings: Settings, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path)
    settings = server.settings(settings)
    service = DecisionService(settings)
    (cause,) = causes(service, transaction_id="away", customer_id="away")
    assert cause.startswith("The online store is away (Redis does not answer (ConnectionError))")
    value = service.metrics.registry.get_sample_value
    assert value("tollgate_api_degraded_total", {"part": "store"}) == 1
    assert value("tollgate_api_not_in_store_total") == 1
    assert service.dependencies()["redis"].state == "Redis does not answer (ConnectionError)"

    server.start()
    try:
        time.sleep(1.1)  # until a new attempt
        (cause,) = causes(service, transaction_id="empty", customer_id="away")
        assert "Redis has no payments of sparkov: run `python -m serving.fill`" in cause
        assert not service.dependencies()["redis"].is_ready
        filled(settings)
        assert service.dependencies()["redis"].is_ready
        decision = service.detect(body(transaction_id="back", customer_id="away"), "tester")
        assert decision.features["customer_transaction_count_1h"] == 3
        assert rows(settings, "away").keys() == {"away"}

        server.kill()
        (cause,) = causes(service, transaction_id="killed", customer_id="away")
        server.start()
        time.sleep(1.1)
        later = service.detect(body(transaction_id="later", customer_id="away"), "tester")
        assert later.features["customer_transaction_count_1h"] == 4  # without "killed"
        filled(settings)
        last = service.detect(body(transaction_id="last", customer_id="away"), "tester")
        assert last.features["customer_transaction_count_1h"] == 6
    finally:
        server.kill()


def test_a_wrong_password_is_named(settings: Settings, redis_server: RedisServer) -> None:
    service = DecisionService(redis_server.settings(settings, store_password="wrong"))
    (cause,) = causes(service, transaction_id="wrong password")
    assert "Redis refuses the password: set TOLLGATE_API__STORE_PASSWORD" in cause
    assert "refuses the password" in service.dependencies()["redis"].state


def test_a_redis_that_hangs_delays_no_answer_beyond_its_limit(
    settings: Settings, redis_server: RedisServer
) -> None:
    redis_server.client.flushall()
    filled(settings)
    service = DecisionService(settings)
    assert causes(service, transaction_id="before it hangs") == []
    redis_server.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        (cause,) = causes(service, transaction_id="hangs")
        assert time.monotonic() - began < LIMIT_SECONDS
        assert "(TimeoutError)" in cause
    finally:
        redis_server.process.send_signal(signal.SIGCONT)
    time.sleep(1.1)
    assert causes(service, transaction_id="after it hung") == []


def test_without_redis_a_store_raises_one_error(warehouse: Settings) -> None:
    api = warehouse.api.model_copy(update={"store_url": "redis://127.0.0.1:1"})
    store = redis_store(api, 0.1)
    assert store is not None
    for work in (store.events, store.category_counts, store.add):
        with pytest.raises(OnlineStoreError, match=r"does not answer|a moment ago"):
            work([{**PAYMENT, **payment("nowhere")}])


@contextmanager
def served(settings: Settings, port: int) -> Iterator[httpx.Client]:
    """Run the API as a process; yield a client of it."""
    assert settings.api.store_url is not None
    own = {
        "TOLLGATE_WAREHOUSE__DATABASE": settings.warehouse.database,
        "TOLLGATE_API__STORE_URL": settings.api.store_url,
        "TOLLGATE_API__STORE_PASSWORD": PASSWORD,
    }
    process = subprocess.Popen(
        [python(), "-m", "serving", "--port", str(port)],
        cwd=REPO,
        env=environment(settings, own),
        stderr=subprocess.DEVNULL,
    )
    address = f"http://{HOST}:{port}"
    tokens = AccessTokens(SigningKeys(settings.signing_keys_file))
    token = tokens.issue(Caller("tester", "service"))
    headers = {"Authorization": f"Bearer {token}"}
    try:
        deadline = time.monotonic() + 90
        while http_ok(f"{address}/health/live") is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        with httpx.Client(base_url=address, headers=headers, timeout=10) as client:
            yield client
    finally:
        process.kill()
        process.wait()


def test_two_processes_share_a_redis_that_is_killed_under_load(
    settings: Settings, tmp_path: Path
) -> None:
    """It takes 20 s, most of them for the start of two processes."""
    server = RedisServer(tmp_path)
    server.start()
    settings = server.settings(settings)
    filled(settings)
    answers: dict[str, dict[str, Any]] = {}
    stopping = threading.Event()

    def post(client: httpx.Client, name: str) -> dict[str, Any]:
        sent = body(transaction_id=name, customer_id="shared")
        answers[name] = client.post("/detect", content=sent).raise_for_status().json()
        return answers[name]

    def load(client: httpx.Client, name: str) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            post(client, f"{name} {number}")

    def wait_for(count: int) -> None:
        until, deadline = len(answers) + count, time.monotonic() + 60
        while len(answers) < until:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    with ExitStack() as stack:
        clients = [stack.enter_context(served(settings, free_port())) for _ in range(2)]
        for number in range(4):
            answer = post(clients[number % 2], f"two 0 {number}")
            assert answer["features"]["customer_transaction_count_1h"] == number + 1
        threads = [
            threading.Thread(target=load, args=(clients[n % 2], f"two {n + 1}")) for n in range(4)
        ]
        stack.callback(lambda: [thread.join() for thread in threads])
        stack.callback(stopping.set)
        for thread in threads:
            thread.start()
        wait_for(40)
        server.kill()
        wait_for(40)
        server.start()
        stack.callback(server.kill)
        time.sleep(1.1)  # until a new attempt
        back = [post(client, f"two back {n}") for n, client in enumerate(clients)]
    assert not any("store" in cause for one in back for cause in one["degraded_causes"])
    away = [one for one in answers.values() if any("store" in c for c in one["degraded_causes"])]
    assert len(away) >= 20
    assert all(one["recorded"] for one in answers.values())
    assert rows(settings, "two %").keys() == answers.keys()
