"""The indexer of rejects, an optional service."""

from __future__ import annotations

from contracts.settings import HOST, Settings
from embedded.places import python
from embedded.services.common import environment, http_ok, owns_port
from embedded.supervisor import Launch, Service


def service(settings: Settings) -> Service:
    """Declare the indexer; its address is that of its metrics."""
    port = settings.port("indexer")
    address = f"http://{HOST}:{port}"
    argv = [python(), "-m", "streaming.indexer", "--port", str(port)]
    return Service(
        name="indexer",
        launch=lambda: Launch(argv, environment(settings)),
        ready=lambda pid, started: (
            http_ok(f"{address}/health") is not None and owns_port(pid, started, port)
        ),
        needs=("kafka", "opensearch"),
        port=port,
        url=f"{address}/metrics",
        optional=True,
    )
