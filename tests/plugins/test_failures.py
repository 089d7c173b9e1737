from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.results import CheckResult, GateFailed, GateResult
from contracts.settings import Api, Kafka
from contracts.windows import Window

pytestmark = pytest.mark.airflow


def botocore_away() -> Exception:
    from botocore.exceptions import EndpointConnectionError

    return EndpointConnectionError(endpoint_url="http://127.0.0.1:1")


def wrong_key() -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": "InvalidAccessKeyId", "Message": "no"}}, "PutObject")


def postgres_away() -> Exception:
    import psycopg

    return psycopg.OperationalError("connection to server at 127.0.0.1 failed")


def copy_refused() -> Exception:
    import adbc_driver_postgresql.dbapi as adbc

    try:
        adbc.connect("postgresql://nobody@127.0.0.1:9/nothing")
    except adbc.Error as error:
        return error
    raise AssertionError


def wrong_password() -> Exception:
    import psycopg

    return psycopg.OperationalError('FATAL: password authentication failed for user "loader"')


def missing_table() -> Exception:
    import psycopg

    return psycopg.errors.UndefinedTable('relation "staging.x" does not exist')


def spark_gone() -> Exception:
    from pyspark.errors.exceptions.connect import SparkConnectGrpcException

    return SparkConnectGrpcException("status = StatusCode.UNAVAILABLE failed to connect")


def spark_complains() -> Exception:
    from pyspark.errors.exceptions.connect import AnalysisException

    return AnalysisException("[UNRESOLVED_COLUMN] no column `amout`")


def kafka_away() -> Exception:
    from streaming.connection import StreamError, check

    away = Kafka(bootstrap_servers="127.0.0.1:9", passwords={"lander": SecretStr("secret")})
    try:
        check(away, "lander")
    except StreamError as error:
        return error
    raise AssertionError


def redis_away() -> Exception:
    from serving.redis_store import OnlineStoreError, redis_store

    store = redis_store(Api(url="", store_url="redis://127.0.0.1:9"), 1)
    assert store is not None
    try:
        store.check()
    except OnlineStoreError as error:
        return error
    raise AssertionError


def redis_refuses() -> Exception:
    from serving.redis_store import OnlineStoreError

    return OnlineStoreError("Redis refuses the password: set TOLLGATE_API__STORE_PASSWORD")


def wrapped_away() -> Exception:
    try:
        try:
            raise ConnectionRefusedError("refused")
        except ConnectionRefusedError as cause:
            raise RuntimeError("the load ended early") from cause
    except RuntimeError as error:
        return error


def deadlock_in_dbt() -> Exception:
    from warehouse.dbt_runner import BuildFailed

    return BuildFailed("dbt could not build stg_lake__labels: deadlock detected")


def closed_gate() -> Exception:
    check = CheckResult("t.amount.sum", "t", "critical", False, observed="connection refused")
    try:
        GateResult("raw", Window.parse("sparkov@2024-05-01"), "r", (check,)).require()
    except GateFailed as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "make",
    [
        *(botocore_away, postgres_away, copy_refused, spark_gone),
        *(kafka_away, redis_away, wrapped_away, deadlock_in_dbt),
    ],
)
def test_unavailable_services_are_retried(make: Any) -> None:
    from tollgate_airflow.failures import guarded, is_transient

    error = make()
    assert is_transient(error)

    def work() -> None:
        raise error

    with pytest.raises(type(error)):
        guarded(work)()


@pytest.mark.parametrize(
    "make",
    [wrong_key, wrong_password, redis_refuses, missing_table, spark_complains, closed_gate],
)
def test_other_errors_are_not_retried(make: Any) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from tollgate_airflow.failures import guarded, is_transient

    error = make()
    assert not is_transient(error)

    def work() -> None:
        raise error

    with pytest.raises(AirflowFailException) as failed:
        guarded(work)()
    assert str(failed.value) == str(error)


def test_a_skip_stays_a_skip() -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from tollgate_airflow.failures import guarded

    def work() -> None:
        raise AirflowSkipException("no champion yet")

    with pytest.raises(AirflowSkipException):
        guarded(work)()


def context(exception: Exception, window: str | None = None) -> Any:
    """Return what a failure callback reads of a task's context."""
    return {
        "task_instance": SimpleNamespace(
            dag_id="land_transactions", task_id="gate_raw", log_url="http://airflow/log"
        ),
        "dag_run": SimpleNamespace(partition_key="handbook@2024-05-01"),
        "params": {"source": "sparkov", "window": window},
        "exception": exception,
    }


def test_the_failure_message_names_task_window_cause_and_log() -> None:
    from tollgate_airflow.failures import sentence

    assert sentence(context(LookupError("the ledger\nholds no run"), "2024-05-02")) == (
        "land_transactions.gate_raw failed on window sparkov@2024-05-02: the ledger holds no run."
        " Log: http://airflow/log"
    )


def test_the_failure_message_of_a_run_without_a_window_names_none() -> None:
    from tollgate_airflow.failures import sentence

    without = context(LookupError("no topic"))
    without["dag_run"].partition_key = None
    assert sentence(without).startswith("land_transactions.gate_raw failed: no topic.")


def test_the_message_of_a_closed_gate_names_its_report() -> None:
    from tollgate_airflow.failures import sentence

    said = sentence(context(closed_gate()))
    assert said.startswith(
        "land_transactions.gate_raw failed on window handbook@2024-05-01: gate raw"
    )
    assert said.endswith("Report: staging.gate_results.")


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Listen as Slack would; give the address and what was posted."""
    heard: list[dict[str, Any]] = []

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", heard
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_failure_message_is_posted_to_slack(webhook: tuple[str, list[dict[str, Any]]]) -> None:
    from tollgate_airflow.failures import post

    address, heard = webhook
    post(SecretStr(address), "gate raw closed")
    assert heard == [{"text": "gate raw closed"}]


def test_an_unavailable_slack_fails_no_task_and_is_not_quoted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from tollgate_airflow.failures import post

    post(SecretStr("http://127.0.0.1:9/secret-path"), "gate raw closed")
    assert "not posted to Slack" in caplog.text
    assert "secret-path" not in caplog.text
