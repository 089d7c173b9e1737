"""The validation service of the stream, an optional service."""

from __future__ import annotations

from contracts.settings import HOST, Settings
from embedded.places import python
from embedded.services.common import environment, http_ok, owns_port
from embedded.supervisor import Launch, Service


def service(settings: Settings) -> Service:
    """Declare the validation service; its address is that of its metrics."""
    port = settings.port("validator")
    address = f"http://{HOST}:{port}"
    argv = [python(), "-m", "streaming.validator", "--port", str(port)]
    return Service(
        name="validator",
        launch=lambda: Launch(argv, environment(settings)),
        ready=lambda pid, started: (
            http_ok(f"{address}/health") is not None and owns_port(pid, started, port)
        ),
        needs=("kafka",),
        port=port,
        url=f"{address}/metrics",
        optional=True,
    )
