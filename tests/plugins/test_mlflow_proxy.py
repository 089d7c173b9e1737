from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

READER = "Basic cmVhZGVyOnNlY3JldA=="  # reader:secret


async def echo(request: Request) -> Response:
    """Say what arrived, as MLflow would see it."""
    body = (await request.body()).decode()
    answer = {
        "method": request.method,
        "path": request.url.path,
        "query": request.url.query,
        "headers": dict(request.headers),
        "body": body,
    }
    headers = {"Set-Cookie": "session=mlflow", "X-MLflow": "3", "ETag": "abc"}
    status = 404 if request.url.path.endswith("missing") else 200
    return JSONResponse(answer, status, headers=headers)


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """Run a real HTTP server in MLflow's place."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def ask(url: str, method: str, path: str, **options: object) -> httpx.Response:
    """Ask the proxy, mounted as the plugin mounts it."""
    from tollgate_ui.mlflow_proxy import MLflowProxy, Upstream

    proxy = MLflowProxy(lambda: Upstream(url, "reader", SecretStr("secret")))
    app = Starlette(routes=[Mount("/mlflow", app=proxy)])

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            return await client.request(method, path, **options)  # type: ignore[arg-type]

    return asyncio.run(answer())


def test_path_query_and_body_are_passed_on_without_the_prefix(upstream: str) -> None:
    answer = ask(upstream, "POST", "/mlflow/ajax-api/2.0/mlflow/runs/search?a=1&b=x%20y", json={})
    heard = answer.json()
    assert (heard["method"], heard["path"], heard["query"], heard["body"]) == (
        "POST",
        "/ajax-api/2.0/mlflow/runs/search",
        "a=1&b=x%20y",
        "{}",
    )


def test_mlflow_sees_its_reader_and_nothing_of_airflows_login(upstream: str) -> None:
    headers = {
        "Authorization": "Bearer airflow-token",
        "Cookie": "_token=airflow-token",
        "Origin": "http://airflow",
        "Referer": "http://airflow/mlflow/",
    }
    heard = ask(upstream, "GET", "/mlflow/", headers=headers).json()["headers"]
    assert heard["authorization"] == READER
    assert "airflow" not in " ".join(heard.values())


def test_the_browser_gets_mlflows_answer_without_its_cookies(upstream: str) -> None:
    answer = ask(upstream, "GET", "/mlflow/missing")
    assert answer.status_code == 404
    assert answer.headers["X-MLflow"] == "3"
    assert answer.headers["ETag"] == "abc"
    assert "Set-Cookie" not in answer.headers


def test_an_unavailable_mlflow_is_a_clear_error() -> None:
    answer = ask("http://127.0.0.1:9", "GET", "/mlflow/")
    assert answer.status_code == 502
    assert "make status" in answer.text
