"""Metrics of the services of the stream for Prometheus, and their health."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, Counter, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from contracts.settings import HOST


class Metrics:
    """What one instance of the validation service has committed, and what waits."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = Counter(
            "tollgate_stream_messages",
            "Messages of committed transactions, by topic of their outcome.",
            ["topic"],
            registry=self.registry,
        )
        self.rejects = Counter(
            "tollgate_stream_rejects",
            "Rejected messages of committed transactions, by first reason.",
            ["reason"],
            registry=self.registry,
        )
        self.validation_seconds = Counter(
            "tollgate_stream_validation_seconds",
            "Seconds spent on validation; divided by the messages, the time of one.",
            registry=self.registry,
        )


class Lag(Collector):
    """The messages that wait in each partition of this instance."""

    def __init__(self, lag: Mapping[int, int]) -> None:
        self._lag = lag

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the present lag."""
        family = GaugeMetricFamily(
            "tollgate_stream_lag", "Messages that wait, by partition.", labels=["partition"]
        )
        for partition, waiting in dict(self._lag).items():
            family.add_metric([str(partition)], waiting)
        yield family


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log no request: a monitor asks every few seconds."""


def serve(port: int, registry: CollectorRegistry, problem: Callable[[], str | None]) -> None:
    """Serve `/metrics`, and `/health` with status 503 and a sentence when there is a problem.

    Raises:
        OSError: when the port is taken.
    """
    metrics = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/health":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        sentence = problem()
        status = "503 Service Unavailable" if sentence else "200 OK"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{sentence or 'healthy'}\n".encode()]

    server = make_server(HOST, port, app, ThreadingWSGIServer, _Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
